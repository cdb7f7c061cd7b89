// What part of the x axis is seen. Charts with one key show the same part.

/** From and to, in the axis's own unit; null for all. */
export type Zoom = readonly [number, number] | null;

interface Group {
  zoom: Zoom;
  listeners: Set<(zoom: Zoom) => void>;
}

export interface ZoomControl {
  get: () => Zoom;
  set: (zoom: Zoom) => void;
  leave: () => void;
}

const groups = new Map<string, Group>();

/**
 * `listener` hears of each change, also of its own. Without a key a chart zooms alone; `first` is what the first of a
 * group begins with.
 */
export function joinZoom(key: string | null, first: Zoom, listener: (zoom: Zoom) => void): ZoomControl {
  const group = (key === null ? undefined : groups.get(key)) ?? { zoom: first, listeners: new Set() };
  if (key !== null) groups.set(key, group);
  group.listeners.add(listener);
  return {
    get: () => group.zoom,
    set: (zoom) => {
      group.zoom = zoom;
      for (const each of group.listeners) each(zoom);
    },
    leave: () => {
      group.listeners.delete(listener);
      if (key !== null && group.listeners.size === 0) groups.delete(key);
    },
  };
}
