// Holds the visible part of the x axis. Charts with the same key show the same part.

/** From and to, in the unit of the axis; null shows everything. */
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
 * Joins the group of charts with this key. `listener` is called for each change, including the chart's own. A chart
 * without a key zooms alone; `first` is the zoom of a new group.
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
