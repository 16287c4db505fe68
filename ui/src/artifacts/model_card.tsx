/** A model's MLmodel file, as one wants to know it: how to load it, what goes in and comes out, what it needs. */

import { useMemo } from "preact/hooks";
import { useResource } from "../api/resource";
import { parseYaml, type Yaml } from "../formats/small_yaml";
import { visibleLine } from "../lib/visible";
import { Code } from "./code";
import { type ArtifactSource, readText } from "./source";

type Fields = { [name: string]: Yaml };

const isFields = (value: Yaml | undefined): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

interface SchemaLine {
  name: string;
  type: string;
  isOptional: boolean;
}

export function ModelCard({ text, source, path }: { text: string; source: ArtifactSource; path: string }) {
  const card = useMemo(() => {
    try {
      const read = parseYaml(text);
      return isFields(read) ? read : undefined;
    } catch {
      return undefined; // written by hand, perhaps: it is shown as it is
    }
  }, [text]);
  const folder = path.slice(0, Math.max(0, path.lastIndexOf("/")));
  const requirements = useResource(`${source.key} ${folder}`, async (abort) => {
    const wanted = folder ? `${folder}/requirements.txt` : "requirements.txt";
    const files = await source.list(folder, abort);
    if (!files.some((file) => file.path === wanted)) return undefined;
    return readText(source, wanted, 100_000, abort);
  });
  if (!card) return <Code text={text} language="yaml" label="MLmodel" isNumbered />;
  const flavors = isFields(card.flavors) ? card.flavors : {};
  const signature = isFields(card.signature) ? card.signature : {};
  const facts = Object.entries(card).filter(([, value]) => value !== null && typeof value !== "object");
  return (
    <div class="model-card">
      <h3>Flavors</h3>
      {Object.keys(flavors).length === 0 && <p class="quiet">None.</p>}
      {Object.entries(flavors).map(([name, of]) => (
        <details key={name}>
          <summary>
            <strong>{visibleLine(name)}</strong>{" "}
            <span class="quiet">{isFields(of) ? versionOf(name, of) : ""}</span>
          </summary>
          <Facts of={isFields(of) ? Object.entries(of) : []} />
        </details>
      ))}
      <h3>Signature</h3>
      {["inputs", "outputs", "params"].map((part) => (
        <Schema key={part} part={part} lines={schemaOf(signature[part])} />
      ))}
      {!card.signature && <p class="quiet">The model has no signature.</p>}
      <h3>Requirements</h3>
      {requirements.value.value ? (
        <Code text={requirements.value.value.text} language="txt_requirements" label="Requirements" />
      ) : (
        <p class="quiet">There is no requirements.txt beside it.</p>
      )}
      <h3>More</h3>
      <Facts of={facts} />
    </div>
  );
}

function versionOf(name: string, of: Fields): string {
  const version = of[`${name}_version`] ?? of.version ?? of.python_version;
  return version === undefined || version === null ? "" : visibleLine(String(version));
}

function Facts({ of }: { of: readonly (readonly [string, Yaml])[] }) {
  return (
    <dl class="facts">
      {of.map(([name, value]) => (
        <div key={name}>
          <dt>{visibleLine(name.replaceAll("_", " "))}</dt>
          <dd class="mono">
            {visibleLine(typeof value === "object" ? JSON.stringify(value) : String(value))}
          </dd>
        </div>
      ))}
    </dl>
  );
}

function Schema({ part, lines }: { part: string; lines: readonly SchemaLine[] | undefined }) {
  if (!lines?.length) return null;
  return (
    <table class="lined schema">
      <caption>{part}</caption>
      <thead>
        <tr>
          <th scope="col">Name</th>
          <th scope="col">Type</th>
        </tr>
      </thead>
      <tbody>
        {lines.map((line, index) => (
          <tr key={index}>
            <td class="mono">{visibleLine(line.name)}</td>
            <td>
              {visibleLine(line.type)}
              {line.isOptional && <span class="quiet"> (optional)</span>}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** A signature's part is JSON in a text. */
function schemaOf(value: Yaml | undefined): SchemaLine[] | undefined {
  if (typeof value !== "string") return undefined;
  let read: unknown;
  try {
    read = JSON.parse(value);
  } catch {
    return undefined;
  }
  if (!Array.isArray(read)) return undefined;
  return read
    .filter((each): each is Record<string, unknown> => typeof each === "object" && each !== null)
    .map((each, index) => ({
      name: typeof each.name === "string" ? each.name : `${index + 1}`,
      type: typeName(each),
      isOptional: each.required === false || ("default" in each && each.default !== undefined),
    }));
}

function typeName(of: Record<string, unknown>): string {
  const tensor = of["tensor-spec"];
  if (typeof tensor === "object" && tensor !== null) {
    const { dtype, shape } = tensor as { dtype?: unknown; shape?: unknown };
    return `${String(dtype)} ${JSON.stringify(shape)}`;
  }
  if (of.type === "array" && typeof of.items === "object" && of.items)
    return `array of ${typeName(of.items as Record<string, unknown>)}`;
  if (of.type === "object" && typeof of.properties === "object" && of.properties)
    return `{${Object.entries(of.properties as Record<string, Record<string, unknown>>)
      .map(([name, each]) => `${name}: ${typeName(each)}`)
      .join(", ")}}`;
  return String(of.type ?? "any");
}
