// Line icons of our own, 20 by 20, drawn in the colour of the text next to them.

const PATHS = {
  logo: "M2 13c2-7 4-7 6-1s3 5 5-1 3-4 5-1",
  jobs: "M3 5h14M3 10h14M3 15h9",
  datasets:
    "M4 5c0-1.4 2.7-2.5 6-2.5S16 3.600 16 5s-2.700 2.500-6 2.500S4 6.400 4 5v10c0 1.400 2.700 2.500 6 2.500s6-1.100 6-2.500V5M4 10c0 1.400 2.700 2.500 6 2.500s6-1.100 6-2.500",
  queue: "M3 4h5v5H3zM3 12h5v5H3zM11 5h6M11 8h4M11 13h6M11 16h4",
  team: "M7 9a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM1.500 17c0-3 2.500-5 5.500-5s5.500 2 5.500 5M13 3.500a3 3 0 0 1 0 5.500M15 12.500c2 .6 3.500 2.300 3.500 4.500",
  logout: "M8 3H4v14h4M13 6l4 4-4 4M17 10H8",
  sun: "M10 13.500a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7ZM10 1.500v2M10 16.500v2M1.500 10h2M16.500 10h2M4 4l1.400 1.400M14.600 14.600 16 16M4 16l1.400-1.400M14.600 5.400 16 4",
  moon: "M16.500 12A7 7 0 0 1 8 3.500a7 7 0 1 0 8.500 8.500Z",
  system: "M2.500 3.500h15v10h-15zM7 17h6M10 13.500V17",
  plus: "M10 4v12M4 10h12",
  search: "M9 15A6 6 0 1 0 9 3a6 6 0 0 0 0 12ZM13.500 13.500 18 18",
  close: "M5 5l10 10M15 5 5 15",
  check: "M4 10.500 8 14.500 16 5.500",
  alert: "M10 3 1.800 17h16.400zM10 8v4M10 14.500v.1",
  info: "M10 18a8 8 0 1 0 0-16 8 8 0 0 0 0 16ZM10 9v5M10 6v.1",
  pause: "M7 4v12M13 4v12",
  play: "M6 4l10 6-10 6z",
  stop: "M5 5h10v10H5z",
  save: "M4 3h10l3 3v11H3V3zM6 3v5h7V3M6 17v-5h8v5",
  copy: "M7 7h10v10H7zM13 7V3H3v10h4",
  download: "M10 3v10M6 9l4 4 4-4M3 17h14",
  upload: "M10 13V3M6 7l4-4 4 4M3 17h14",
  trash: "M3 5h14M8 5V3h4v2M5 5l1 12h8l1-12M8.500 8.500v5M11.500 8.500v5",
  up: "M10 16V4M5 9l5-5 5 5",
  down: "M10 4v12M5 11l5 5 5-5",
  chevron: "M7 4l6 6-6 6",
  key: "M7 13a4 4 0 1 0 0-6 4 4 0 0 0 0 6ZM9.500 10H18M15 10v3",
  compare: "M3 15c3-8 5-8 7-4s4 3 7-6M3 17h14",
  clock: "M10 18a8 8 0 1 0 0-16 8 8 0 0 0 0 16ZM10 5v5l3 2",
  edit: "M4 13.500V16h2.500L16 6.500 13.500 4zM11.500 6 14 8.500",
  preempt: "M3 10h9M9 6l4 4-4 4M17 4v12",
  hold: "M10 18a8 8 0 1 0 0-16 8 8 0 0 0 0 16ZM8 7v6M12 7v6",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
