// A group of buttons of which one is pressed.

import "./choices.css";

export function Choices<T extends string | number>({
  label,
  options,
  value,
  onChange,
}: {
  /** The name of the choice, for screen readers. */
  label: string;
  options: readonly (readonly [value: T, name: string])[];
  value: T;
  onChange: (value: T) => void;
}) {
  return (
    <fieldset class="choices" aria-label={label}>
      {options.map(([each, name]) => (
        <button key={each} type="button" aria-pressed={each === value} onClick={() => onChange(each)}>
          {name}
        </button>
      ))}
    </fieldset>
  );
}
