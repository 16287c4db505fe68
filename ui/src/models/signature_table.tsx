/** A signature as tables: what a model takes, gives, and may be told. */

import { stringifyExact } from "../lib/exact_json";
import type { ModelCard, SchemaField } from "./messages";
import { typeText } from "./signature";

export function SignatureTable({ card }: { card: ModelCard }) {
  if (!card.inputs && !card.outputs && !card.params)
    return (
      <p class="quiet">
        No signature: what is sent to the model is not checked. Log it with <code>signature=</code> or{" "}
        <code>input_example=</code>.
      </p>
    );
  return (
    <>
      <SchemaTable title="Inputs" fields={card.inputs} />
      <SchemaTable title="Outputs" fields={card.outputs} />
      <SchemaTable title="Params" fields={card.params} hasPresets />
    </>
  );
}

interface Props {
  readonly title: string;
  readonly fields: readonly SchemaField[] | null;
  readonly hasPresets?: boolean;
}

function SchemaTable({ title, fields, hasPresets }: Props) {
  if (!fields || fields.length === 0) return null;
  return (
    <div>
      <table class="model-table three">
        <caption class="hidden-text">{title}</caption>
        <thead>
          <tr>
            <th scope="col">{title}</th>
            <th scope="col">Type</th>
            <th scope="col">{hasPresets ? "Default" : "Required"}</th>
          </tr>
        </thead>
        <tbody>
          {fields.map((field, index) => (
            <tr key={index}>
              <th scope="row" class="mono">
                {field.name ?? <span class="quiet">unnamed</span>}
              </th>
              <td class="mono">{typeText(field)}</td>
              <td class={hasPresets ? "mono" : undefined}>
                {hasPresets ? stringifyExact(field.default ?? null) : field.required === false ? "no" : "yes"}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
