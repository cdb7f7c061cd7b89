// Merges a list that is loaded page by page, newest first, while its first page is polled.

interface Dated {
  id: string;
  created_at: string;
}

/** Replaces the part of the list that a newer first page covers; items that are missing from it have been deleted. */
export function mergeFirstPage<T extends Dated>(known: readonly T[], first: readonly T[], isAll: boolean): T[] {
  const last = first.at(-1);
  if (isAll || !last) return [...first];
  const fresh = new Set(first.map((item) => item.id));
  return [...first, ...known.filter((item) => !fresh.has(item.id) && isOlder(item, last))];
}

/** Adds a page to the end of the list. */
export function appendPage<T extends Dated>(known: readonly T[], page: readonly T[]): T[] {
  const ids = new Set(known.map((item) => item.id));
  return [...known, ...page.filter((item) => !ids.has(item.id))];
}

function isOlder(item: Dated, other: Dated): boolean {
  return item.created_at === other.created_at ? item.id < other.id : item.created_at < other.created_at;
}
