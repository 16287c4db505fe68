/** Code to copy: how a version is loaded, served and asked from elsewhere. */

import { stringifyExact } from "../lib/exact_json";
import { shellQuote } from "../lib/shell_words";
import { type Form, requestOf } from "./signature";

export interface CodeSample {
  readonly title: string;
  readonly text: string;
}

/** A text as Python and a shell in double quotes both have it. */
const quoted = (text: string) => JSON.stringify(text);

/** How to serve a version, and tell this server of it. */
export const serveCommands = (name: string, version: string) =>
  `slipstream models serve -m ${shellQuote(`models:/${name}/${version}`)} --port 5001
slipstream server --serving-url local=http://127.0.0.1:5001`;

export function samples(
  address: string,
  name: string,
  version: string,
  alias: string | undefined,
  form: Form | undefined,
): CodeSample[] {
  const uri = alias ? `models:/${name}@${alias}` : `models:/${name}/${version}`;
  const request =
    form?.layout === "chat"
      ? { model: name, messages: [{ role: "user", content: "Hello" }] }
      : form && form.layout !== "free"
        ? exampleRequest(form)
        : { inputs: [] };
  const path = form?.layout === "chat" ? "/v1/chat/completions" : "/invocations";
  return [
    {
      title: "Python",
      text: `import slipstream

slipstream.set_tracking_uri(${quoted(address)})
model = slipstream.pyfunc.load_model(${quoted(uri)})
model.predict(...)`,
    },
    {
      title: "Serve",
      text: `export SLIPSTREAM_TRACKING_URI=${shellQuote(address)}
slipstream models serve -m ${shellQuote(uri)} --port 5001`,
    },
    {
      title: "curl",
      text: `curl http://127.0.0.1:5001${path} \\
  -H 'Content-Type: application/json' \\
  -d ${shellQuote(stringifyExact(request))}`,
    },
    {
      title: "Download",
      text: `export SLIPSTREAM_TRACKING_URI=${shellQuote(address)}
slipstream artifacts download --artifact-uri ${shellQuote(`models:/${name}/${version}`)} --dst-path model`,
    },
  ];
}

function exampleRequest(form: Form): Record<string, unknown> {
  const usual = { truth: "false", whole: "1", number: "1.0", text: "text", json: "[]" } as const;
  const filled: Form = {
    ...form,
    inputs: form.inputs.map((field) => ({ ...field, preset: field.preset || usual[field.entry] })),
  };
  return requestOf(filled, [{}], {});
}
