/** Makes the handler of a task from the files of a version. The libraries of a task are loaded with the first version of its kind. */
import type { TaskFiles } from '@millrace/shared/model-files/task-files';
import type { Task, TensorNames } from './files/task.ts';

export type { RunModel, Task, TensorNames } from './files/task.ts';

/** Opens a task. `names` are the tensors of the model. Throws an error for files that are not the registered files. */
export async function openTask(files: TaskFiles, names: TensorNames): Promise<Task> {
  switch (files.task) {
    case 'image-classification':
    case 'image-feature-extraction': {
      const { openImageTask } = await import('./images/open-image-task.ts');
      return openImageTask(files, names);
    }
    default: {
      const { openTextTask } = await import('./text/open-text-task.ts');
      return openTextTask({ ...files, task: files.task }, names);
    }
  }
}
