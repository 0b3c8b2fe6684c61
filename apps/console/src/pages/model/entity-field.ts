/** A field for an entity, such as a drug: suggestions during typing, and under the field the entity that the text names. */
import { useEffect, useState } from 'preact/hooks';
import { ApiProblem, get } from '../../core/api.ts';
import type { Entity, List } from '../../core/types.ts';
import { combo, type Suggestions } from '../../ui/combo.ts';
import { h, html, type Markup } from '../../ui/html.ts';
import { icon } from '../../ui/icon.ts';
import type { Field } from './fields.ts';

const SHOWN = 8;
const PAUSE_MS = 150;
const ALIASES_MAX = 4;
/** A longer text is no name: the server would refuse the look-up. */
const NAME_MAX = 200;

export interface EntityFieldProps {
  id: string;
  field: Field;
  model: string;
  value: string;
  fault: string | undefined;
  change: (text: string) => void;
}

interface Known {
  text: string;
  entity?: Entity;
  suggestions?: readonly string[];
}

function EntityField({ id, field, model, value, fault, change }: EntityFieldProps): Markup {
  const path = `/v1/models/${encodeURIComponent(model)}/entities/${encodeURIComponent(field.entity ?? '')}`;
  const known = useEntity(path, value);
  return combo({
    id,
    label: field.label,
    value,
    placeholder: field.placeholder || 'Name or alias',
    noun: `Suggestions for ${field.label}`,
    invalid: fault !== undefined,
    change,
    search: (text, signal) => search(path, text, signal),
    hint: hintOf({ id, field, value, fault, known, change }),
  });
}

async function search(path: string, text: string, signal: AbortSignal): Promise<Suggestions> {
  if (text.length > NAME_MAX) return { shown: [], more: false };
  const { data, has_more } = await get<List<Entity>>(path, { q: text, limit: SHOWN }, signal);
  return {
    shown: data.map(({ name, aliases, attributes }) => ({
      value: name,
      more: aliasesOf(aliases),
      note: noteOf(attributes),
    })),
    more: has_more,
  };
}

/** An alias in capitals with hyphens is a key of another catalog. */
const aliasesOf = (aliases: readonly string[]): string =>
  aliases
    .filter((alias) => !/^[A-Z]{14}-/.test(alias))
    .slice(0, ALIASES_MAX)
    .join(', ');
const noteOf = ({ formula }: Record<string, unknown>): string => (typeof formula === 'string' ? formula : '');

/** The entity that the text names, after a pause of the typing. */
function useEntity(path: string, value: string): Known | undefined {
  const [known, setKnown] = useState<Known>();
  const text = value.trim();
  useEffect(() => {
    if (text === '' || text.length > NAME_MAX) return;
    const stop = new AbortController();
    const timer = setTimeout(async () => {
      try {
        setKnown({ text, entity: await get<Entity>(`${path}/${encodeURIComponent(text)}`, {}, stop.signal) });
      } catch (error) {
        if (error instanceof ApiProblem && error.status === 404) setKnown({ text, suggestions: error.suggestions });
      }
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [path, text]);
  return known?.text === text ? known : undefined;
}

type HintProps = Omit<EntityFieldProps, 'model'> & { known: Known | undefined };

function hintOf({ id, field, value, fault, known, change }: HintProps): Markup {
  const suggestions = known?.suggestions ?? [];
  const fixes = suggestions
    .slice(0, 3)
    .map((name, index) => [
      index > 0 ? ', ' : '',
      html`<button type="button" onClick=${() => change(name)}>${name}</button>`,
    ]);
  if (fault !== undefined)
    return html`<p class="hint fail" id=${`${id}-hint`} role="alert">${icon('fail')}<span>${fixes.length > 0 ? fault.replace(/ Did you mean .*\?$/, '') : fault}${fixes.length > 0 ? [' Did you mean ', fixes, '?'] : null}</span></p>`;
  if (known?.entity) {
    const { name, aliases, attributes } = known.entity;
    const same = name.toLowerCase() === value.trim().toLowerCase();
    const parts = [same ? '' : name, noteOf(attributes), aliasesOf(aliases)].filter((part) => part !== '');
    return html`<p class="hint" id=${`${id}-hint`}>${parts.join(' · ') || `A known ${field.entity}`}</p>`;
  }
  if (fixes.length > 0)
    return html`<p class="hint" id=${`${id}-hint`} role="status">No ${field.entity} has this name. Did you mean ${fixes}?</p>`;
  return html`<p class="hint" id=${`${id}-hint`}>${known?.suggestions ? `No ${field.entity} has this name.` : field.description}</p>`;
}

export const entityField = (props: EntityFieldProps): Markup => h(EntityField, { ...props, key: props.id });
