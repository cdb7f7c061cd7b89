// Shows a text of the API, in which names and values are in backticks.

export function Described({ text }: { text: string }) {
  return <>{text.split("`").map((part, index) => (index % 2 ? <code key={`${index} ${part}`}>{part}</code> : part))}</>;
}
