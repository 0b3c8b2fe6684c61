/** `drug_a` is `Drug A`, and `interaction` is `Interaction`. */
export function words(name: string): string {
  const text = name.replaceAll(/[_-]+/g, ' ').trim();
  const spaced = text.replaceAll(/\b([a-z])$/g, (letter) => letter.toUpperCase());
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}
