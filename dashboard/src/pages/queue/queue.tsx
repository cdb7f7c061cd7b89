export function QueuePage() {
  return <p>queue</p>;
}
