/** Requests to the server that sent this page. */

const BASE = new URL(".", document.baseURI).pathname;
const OWN = "ajax-api/slipstream/v1/";
const MLFLOW = "ajax-api/2.0/mlflow/";
const TOKEN_KEY = "slipstream-token";
/** What is only read is waited for so long until its answer begins, and until it is here: a way that is cut says nothing. */
const BEGINS_MS = 60_000;
const WHOLE_MS = 300_000;

/** What the server said no to, or that it could not be asked. */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly code: string,
  ) {
    super(message);
  }

  /** Whether the same request may succeed later without anybody doing anything. */
  get mayPass(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** Called when the server wants a token; set by the shell, which asks for it. */
export const onUnauthorised = { call: () => {} };

/** Called with the state of the server that an answer shows, where it says so; set by what listens to changes. */
export const onCursor = { call: (_cursor: number | undefined) => {} };
/** How many requests are under way whose answers may say that. */
let asking = 0;
export const mayTellCursor = () => asking > 0;

export function setToken(token: string): void {
  if (token) localStorage.setItem(TOKEN_KEY, token);
  else localStorage.removeItem(TOKEN_KEY);
}

export const hasToken = () => localStorage.getItem(TOKEN_KEY) !== null;

/** The address of something below the server's root, whatever prefix it is mounted under. */
export function serverUrl(path: string): string {
  return BASE + path;
}

/** The address that a script of the user's would be given. */
export function serverAddress(): string {
  return (location.origin + BASE).replace(/\/$/, "");
}

type Query = Record<string, string | number | boolean | readonly string[] | null | undefined>;

export function withQuery(path: string, query: Query = {}): string {
  const pairs = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined || value === "") continue;
    if (Array.isArray(value)) for (const each of value) pairs.append(name, each);
    else pairs.append(name, String(value));
  }
  const text = pairs.toString();
  return text ? `${path}?${text}` : path;
}

/** Fetch with the token, and raise ApiError for every answer that is not a success. */
export async function fetchChecked(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  const token = localStorage.getItem(TOKEN_KEY);
  if (token) headers.set("authorization", `Bearer ${token}`);
  let answer: Response;
  try {
    answer = await fetch(serverUrl(path), { ...init, headers });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError("The server does not answer. What you see may be out of date.", 0, "UNREACHABLE");
  }
  if (answer.ok) return answer;
  if (answer.status === 401) onUnauthorised.call();
  throw await errorOf(answer);
}

async function errorOf(answer: Response): Promise<ApiError> {
  const text = await answer.text();
  try {
    const body = JSON.parse(text) as { message?: string; error_code?: string };
    return new ApiError(body.message ?? text, answer.status, body.error_code ?? "");
  } catch {
    // what stands before a server answers in its place, by a page of its own
    const said = text.trimStart().startsWith("<") ? "" : text.slice(0, 300);
    const status = `${answer.status} ${answer.statusText}`.trim();
    return new ApiError(said || `The server, or what is before it, answered ${status}.`, answer.status, "");
  }
}

async function contentOf<T>(answer: Response, parse: Parse | undefined): Promise<T> {
  try {
    return (parse ? parse(await answer.text()) : await answer.json()) as T;
  } catch (error) {
    if (error instanceof DOMException) throw error; // given up
    throw new ApiError(
      "What came is no answer of this server: something before it may want you to sign in. Load the page anew.",
      0,
      "NOT_JSON",
    );
  }
}

type Parse = (text: string) => unknown;

/** An end to waiting, beside the one that who asks has. */
function patience(asked: AbortSignal | null | undefined) {
  const limit = new AbortController();
  const giveUp = () => limit.abort(asked?.reason);
  if (asked?.aborted) giveUp();
  asked?.addEventListener("abort", giveUp, { once: true });
  let isOver = false;
  const end = () => {
    isOver = true;
    limit.abort();
  };
  let timer = setTimeout(end, BEGINS_MS);
  return {
    signal: limit.signal,
    isOver: () => isOver,
    begun() {
      clearTimeout(timer);
      timer = setTimeout(end, WHOLE_MS);
    },
    done() {
      clearTimeout(timer);
      asked?.removeEventListener("abort", giveUp);
    },
  };
}

async function json<T>(path: string, init: RequestInit, isRead = false, parse?: Parse): Promise<T> {
  const isOwn = path.startsWith(OWN);
  if (isOwn) asking++;
  let cursor: number | undefined;
  // what changes something is not given up: it may have been done all the same
  const wait = isRead ? patience(init.signal) : undefined;
  try {
    const answer = await fetchChecked(path, wait ? { ...init, signal: wait.signal } : init);
    wait?.begun();
    const found = await contentOf<T & { cursor?: unknown }>(answer, parse);
    if (typeof found?.cursor === "number") cursor = found.cursor;
    return found;
  } catch (error) {
    if (wait?.isOver())
      throw new ApiError(
        "The server took too long to answer. What you see may be out of date.",
        0,
        "NO_ANSWER",
      );
    throw error;
  } finally {
    wait?.done();
    if (isOwn) asking--;
    onCursor.call(cursor);
  }
}

function sent(method: string, body: unknown, signal?: AbortSignal): RequestInit {
  const init: RequestInit = {
    method,
    body: JSON.stringify(body),
    headers: { "content-type": "application/json" },
  };
  if (signal) init.signal = signal;
  return init;
}

/** Slipstream's own routes, named below their prefix. */
export const own = {
  /** `parse` reads what `JSON.parse` would round. */
  get: <T>(path: string, query?: Query, signal?: AbortSignal, parse?: Parse) =>
    json<T>(OWN + withQuery(path, query), signal ? { signal } : {}, true, parse),
  /** With a `signal` it is one that only reads. */
  post: <T>(path: string, body: unknown, signal?: AbortSignal) =>
    json<T>(OWN + path, sent("POST", body, signal), signal !== undefined),
  url: (path: string, query?: Query) => serverUrl(OWN + withQuery(path, query)),
  path: (path: string, query?: Query) => OWN + withQuery(path, query),
};

/** MLflow's routes, named below their prefix. */
export const mlflow = {
  get: <T>(path: string, query?: Query, signal?: AbortSignal) =>
    json<T>(MLFLOW + withQuery(path, query), signal ? { signal } : {}, true),
  post: <T>(path: string, body: unknown, signal?: AbortSignal) =>
    json<T>(MLFLOW + path, sent("POST", body, signal), signal !== undefined),
  send: <T>(method: "PATCH" | "PUT" | "DELETE", path: string, body: unknown) =>
    json<T>(MLFLOW + path, sent(method, body)),
};
