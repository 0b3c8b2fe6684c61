/** A reporter of vitest. Ends a run without progress, and names the tests in progress. */
import type { Reporter, TestCase, TestModule } from 'vitest/node';

/** No test and no hook may take this long: see the time limits in vitest.config.ts. */
const STALLED_MS = 300_000;
const CHECK_MS = 5_000;

export default class StalledRun implements Reporter {
  readonly #modules = new Map<string, string>();
  readonly #tests = new Map<string, string>();
  #movedAt = performance.now();
  #phase = 'the start of the servers';
  readonly #timer = setInterval(() => this.#check(), CHECK_MS).unref();

  onTestModuleStart({ id, relativeModuleId }: TestModule): void {
    this.#modules.set(id, relativeModuleId);
    this.#moved('the tests');
  }

  onTestCaseReady(test: TestCase): void {
    this.#tests.set(test.id, `${test.module.relativeModuleId} > ${test.fullName}`);
  }

  onTestCaseResult({ id }: TestCase): void {
    this.#tests.delete(id);
    this.#moved('the tests');
  }

  onTestModuleEnd({ id }: TestModule): void {
    this.#modules.delete(id);
    this.#moved('the tests');
  }

  onTestRunEnd(): void {
    this.#moved('the end of the test processes and servers');
  }

  #moved(phase: string): void {
    this.#phase = phase;
    this.#movedAt = performance.now();
  }

  #check(): void {
    if (performance.now() - this.#movedAt < STALLED_MS) return;
    clearInterval(this.#timer);
    console.error(`The run was ended: ${this.#phase} made no progress for ${STALLED_MS / 1_000} s. In progress:`);
    for (const name of [...this.#tests.values(), ...this.#modules.values()]) console.error(`  FAIL ${name}`);
    process.exit(1);
  }
}
