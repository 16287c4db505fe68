import type { PageProps } from "../app/pages";
export default function Page(_: PageProps) {
  return (
    <div class="page">
      <h1>…</h1>
    </div>
  );
}
