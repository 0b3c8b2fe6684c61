/** `completion`: writes the completion script of a shell. The commands and options are those of this version. */
import { Argument, type Command } from 'commander';

interface Node {
  /** The words before, such as `models`. */
  path: string;
  words: readonly string[];
}

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

export function addCompletion(program: Command): void {
  program
    .command('completion')
    .description('print the completion script of a shell, such as: eval "$(millrace completion bash)"')
    .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS))
    .option('--json', 'print the words of each command as JSON')
    .action((shell: Shell, { json }: { json?: boolean }) => {
      const nodes = nodesOf(program, '');
      process.stdout.write(`${json ? JSON.stringify(nodes) : script(shell, nodes)}\n`);
    });
}

function nodesOf(command: Command, path: string): Node[] {
  const options = command.options.flatMap(({ long, hidden }) => (long && !hidden ? [long] : []));
  const words = [...command.commands.map((child) => child.name()), ...options, '--help'];
  const node = { path, words: [...new Set(words)] };
  const children = command.commands.flatMap((child) => nodesOf(child, path ? `${path} ${child.name()}` : child.name()));
  return [node, ...children];
}

function script(shell: Shell, nodes: readonly Node[]): string {
  if (shell === 'fish') return fishScript(nodes);
  const bash = bashScript(nodes);
  return shell === 'bash' ? bash : `autoload -U +X bashcompinit && bashcompinit\n${bash}`;
}

/** The longest path of words that is a command decides. Names have only letters, digits and '-', so quotes are not needed. */
function bashScript(nodes: readonly Node[]): string {
  const cases = nodes.map(({ path, words }) => `      '${path}') words='${words.join(' ')}' ;;`).join('\n');
  return `_millrace() {
  local path='' word words='' at
  for ((at = 1; at < COMP_CWORD; at++)); do
    word=\${COMP_WORDS[at]}
    case "$word" in -*) continue ;; esac
    case ' ${nodes
      .map(({ path }) => path.replaceAll(' ', '_'))
      .filter(Boolean)
      .join(' ')} ' in
      *" \${path:+\${path// /_}_}$word "*) path="\${path:+$path }$word" ;;
    esac
  done
  case "$path" in
${cases}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _millrace millrace`;
}

function fishScript(nodes: readonly Node[]): string {
  const lines = nodes.flatMap(({ path, words }) => {
    const names = path.split(' ').filter(Boolean);
    const top = nodes.filter((node) => node.path && !node.path.includes(' ')).map((node) => node.path);
    const condition =
      names.length === 0
        ? `not __fish_seen_subcommand_from ${top.join(' ')}`
        : names.map((name) => `__fish_seen_subcommand_from ${name}`).join('; and ');
    return `complete -c millrace -n '${condition}' -a '${words.join(' ')}'`;
  });
  return lines.join('\n');
}
