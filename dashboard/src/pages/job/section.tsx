// A section of the job's page, and the row of buttons that lead to the sections.

import type { ComponentChildren } from "preact";

export function Section({
  id,
  title,
  tools,
  children,
}: {
  id: string;
  title: string;
  tools?: ComponentChildren;
  children: ComponentChildren;
}) {
  return (
    <section class="card job-section" id={`job-${id}`} aria-labelledby={`job-${id}-title`}>
      <div class="card-head">
        <h2 id={`job-${id}-title`} tabIndex={-1}>
          {title}
        </h2>
        {tools}
      </div>
      <div class="card-body">{children}</div>
    </section>
  );
}

/** The address behind `#` names the page, so these are buttons: they scroll and move the keyboard focus. */
export function SectionNav({ sections }: { sections: readonly (readonly [id: string, title: string])[] }) {
  return (
    <nav class="job-nav" aria-label="Sections of this page">
      {sections.map(([id, title]) => (
        <button type="button" class="quiet small" key={id} onClick={() => goTo(id)}>
          {title}
        </button>
      ))}
    </nav>
  );
}

function goTo(id: string): void {
  document.getElementById(`job-${id}`)?.scrollIntoView({ block: "start" });
  document.getElementById(`job-${id}-title`)?.focus({ preventScroll: true });
}
