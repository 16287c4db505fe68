/** Code to copy: how a version is loaded, served and asked from elsewhere. */

import { type Form, requestOf } from "./signature";

export interface CodeSample {
  readonly title: string;
  readonly text: string;
}

/** A text as Python and a shell in double quotes both have it. */
const quoted = (text: string) => JSON.stringify(text);

/** A word for a POSIX shell. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** How to serve a version, and tell this server of it. */
export const serveCommands = (name: string, version: string) =>
  `slipstream models serve -m ${shellWord(`models:/${name}/${version}`)} --port 5001
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
      text: `export SLIPSTREAM_TRACKING_URI=${shellWord(address)}
slipstream models serve -m ${shellWord(uri)} --port 5001`,
    },
    {
      title: "curl",
      text: `curl http://127.0.0.1:5001${path} \\
  -H 'Content-Type: application/json' \\
  -d ${shellWord(JSON.stringify(request))}`,
    },
    {
      title: "Download",
      text: `export SLIPSTREAM_TRACKING_URI=${shellWord(address)}
slipstream artifacts download --artifact-uri ${shellWord(`models:/${name}/${version}`)} --dst-path model`,
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
