// The API's words for people, which have names and values in backticks.

export function Described({ text }: { text: string }) {
  return <>{text.split("`").map((part, index) => (index % 2 ? <code key={`${index} ${part}`}>{part}</code> : part))}</>;
}
