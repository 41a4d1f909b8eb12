// The page of /docs: reads /openapi.json, lists the routes, and lets the reader try them.
"use strict";

const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
};

let api = null;

// Follows a reference within the document.
const resolve = (schema) => {
  if (!schema || !schema.$ref) return schema ?? {};
  return schema.$ref.slice(2).split("/").reduce((part, step) => part[step], api);
};

const typeWord = (given) => {
  const schema = resolve(given);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((word) => JSON.stringify(word)).join(" | ");
  if (schema.oneOf || schema.anyOf) return "one of several";
  const types = [].concat(schema.type ?? "any").filter((type) => type !== "null");
  const word = types.join(" | ");
  if (word === "array") return `list of ${typeWord(schema.items)}`;
  return schema.format ? `${word} (${schema.format})` : word;
};

// A value that a reader can start from.
const example = (given, depth = 0) => {
  const schema = resolve(given);
  if (depth > 6) return null;
  if (schema.default !== undefined) return schema.default;
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[0];
  if (schema.oneOf || schema.anyOf) return example((schema.oneOf ?? schema.anyOf)[0], depth + 1);
  switch ([].concat(schema.type)[0]) {
    case "object": {
      const required = new Set(schema.required ?? []);
      const members = Object.entries(schema.properties ?? {});
      const wanted = required.size ? members.filter(([name]) => required.has(name)) : members.slice(0, 4);
      return Object.fromEntries(wanted.map(([name, member]) => [name, example(member, depth + 1)]));
    }
    case "array": return [example(schema.items, depth + 1)];
    case "integer": return Math.max(schema.minimum ?? 1, (schema.exclusiveMinimum ?? 0) + 1);
    case "number": return schema.minimum ?? 1.5;
    case "boolean": return true;
    case "string": {
      const formats = { "date-time": "2026-01-31T12:00:00Z", date: "2026-01-31", decimal: "1.00",
        uuid: "01970000-0000-7000-8000-000000000001" };
      return formats[schema.format] ?? "text".padEnd(schema.minLength ?? 0, "x");
    }
    default: return null;
  }
};

const field = (parameter) => {
  const schema = parameter.schema ?? { type: "string" };
  const words = schema.enum ?? (schema.type === "boolean" ? ["true", "false"] : null);
  const input = words
    ? make("select", { name: parameter.name }, make("option", { value: "" }, ""),
        ...words.map((word) => make("option", { value: word }, word)))
    : make("input", { name: parameter.name, autocomplete: "off",
        placeholder: schema.default === undefined ? "" : String(schema.default) });
  if (words && parameter.required) input.value = words[0];
  const where = parameter.in === "query" ? "" : ` (${parameter.in})`;
  const label = make("label", { class: "field" },
    make("span", {}, parameter.name + where + (parameter.required ? " *" : "")), input,
    make("small", {}, parameter.description ?? ""));
  return { parameter, input, label };
};

const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;

// What the form says, as a request.
const compose = (method, path, fields, kind, body) => {
  let target = path;
  const query = new URLSearchParams();
  const headers = {};
  for (const { parameter, input } of fields) {
    const value = input.value;
    if (parameter.in === "path") target = target.replace(`{${parameter.name}}`, encodeURIComponent(value));
    else if (value === "") continue;
    else if (parameter.in === "query") query.set(parameter.name, value);
    else headers[parameter.name] = value;
  }
  if (kind) headers["Content-Type"] = kind;
  const text = query.toString();
  return { method: method.toUpperCase(), url: text ? `${target}?${text}` : target, headers, body };
};

const curl = ({ method, url, headers, body }) => {
  const parts = ["curl -i"];
  if (method !== "GET") parts.push(`-X ${method}`);
  parts.push(quote(location.origin + url));
  for (const [name, value] of Object.entries(headers)) parts.push(`-H ${quote(`${name}: ${value}`)}`);
  if (body !== undefined) parts.push(`--data-binary ${quote(body)}`);
  return parts.join(" \\\n  ");
};

// How much of an answer is shown: a stream may be of any length.
const SHOWN_CHARS = 40_000;

const send = async (request, output) => {
  const start = performance.now();
  const { url, ...options } = request;
  const response = await fetch(url, options);
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  let text = "";
  while (reader && text.length < SHOWN_CHARS) {
    const { done, value } = await reader.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
  }
  const cut = text.length >= SHOWN_CHARS;
  if (cut) await reader.cancel();
  if (!cut && (response.headers.get("Content-Type") ?? "").includes("json")) {
    try { text = JSON.stringify(JSON.parse(text), null, 2); } catch { /* shown as it came */ }
  }
  const head = ["ETag", "Location", "Retry-After", "X-Request-Id", "Server-Timing"]
    .filter((name) => response.headers.has(name))
    .map((name) => `${name}: ${response.headers.get(name)}`);
  const took = (performance.now() - start).toFixed(1);
  const lines = [`${response.status} ${response.statusText} in ${took} ms`, ...head, "", text];
  output.textContent = lines.join("\n") + (cut ? "\n… cut" : "");
};

const properties = (schema) => {
  const required = new Set(schema.required ?? []);
  const members = Object.entries(schema.properties ?? {});
  return make("table", {}, make("tbody", {}, ...members.map(([name, member]) => {
    const of = resolve(member);
    const flags = [required.has(name) && "required", of["x-unique"] && "unique",
      of["x-indexed"] && "indexed"].filter(Boolean).join(", ");
    return make("tr", {}, make("td", {}, name), make("td", {}, typeWord(member)),
      make("td", {}, [flags, of.description].filter(Boolean).join(". ")));
  })));
};

const details = (method, path, operation) => {
  const fields = (operation.parameters ?? []).map(field);
  const content = operation.requestBody?.content;
  const kinds = Object.keys(content ?? {});
  const kind = make("select", { "aria-label": "Content-Type" },
    ...kinds.map((name) => make("option", { value: name }, name)));
  const body = make("textarea", { spellcheck: "false", "aria-label": "Body" });
  const fill = () => {
    const start = example(content[kind.value].schema);
    body.value = typeof start === "string" ? "" : JSON.stringify(start, null, 2);
  };
  if (content) { fill(); kind.addEventListener("change", fill); }
  const request = () => compose(method, path, fields, content && kind.value, content ? body.value : undefined);
  const output = make("pre", { hidden: true });
  const show = (text) => { output.hidden = false; output.textContent = text; };
  const run = make("button", { type: "button", onclick: async () => {
    run.disabled = true;
    show("…");
    try { await send(request(), output); } catch (error) { show(String(error)); }
    run.disabled = false;
  } }, "Send");
  const asCurl = make("button", { type: "button", class: "plain", onclick: () => show(curl(request())) }, "As curl");
  const answers = Object.entries(operation.responses).map(([status, answer]) =>
    make("tr", {}, make("td", {}, status), make("td", {}, resolve(answer).description)));
  const shape = resolve(resolve(content?.["application/json"]?.schema).items ?? content?.["application/json"]?.schema);
  return make("div", {},
    fields.length ? make("h3", {}, "Parameters") : null, ...fields.map(({ label }) => label),
    content ? make("h3", {}, "Body") : null, kinds.length > 1 ? kind : null, content ? body : null,
    shape.properties ? make("details", {}, make("summary", {}, "Its members"), properties(shape)) : null,
    make("div", { class: "row" }, run, asCurl), output,
    make("details", {}, make("summary", {}, "Answers"),
      make("table", {}, make("tbody", {}, ...answers))));
};

const routeNode = ({ method, path, operation }) => {
  const node = make("details", { class: "route", id: operation.operationId },
    make("summary", {}, make("span", { class: `method ${method}` }, method),
      make("span", { class: "path" }, path), make("span", { class: "about" }, operation.summary)));
  // Most are never opened: their forms are made when they are.
  node.addEventListener("toggle", () => {
    if (node.open && node.children.length === 1) node.append(details(method, path, operation));
  });
  return node;
};

const draw = (wanted) => {
  const routes = Object.entries(api.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method, operation })));
  const matches = ({ path, method, operation }) =>
    `${method} ${path} ${operation.summary}`.toLowerCase().includes(wanted);
  const nav = document.getElementById("nav");
  const main = document.getElementById("main");
  nav.replaceChildren();
  main.replaceChildren();
  for (const tag of api.tags) {
    const found = routes.filter((route) => route.operation.tags.includes(tag.name) && matches(route));
    if (!found.length) continue;
    nav.append(make("a", { href: `#tag-${tag.name}` }, tag.name));
    main.append(make("h2", { id: `tag-${tag.name}` }, tag.name),
      make("p", { class: "quiet" }, tag.description), ...found.map(routeNode));
  }
  if (!main.children.length) main.append(make("p", { class: "quiet" }, "Nothing matches."));
};

fetch("/openapi.json").then((response) => response.json()).then((document_) => {
  api = document_;
  draw("");
  document.getElementById("search").addEventListener("input", (event) =>
    draw(event.target.value.trim().toLowerCase()));
}).catch((error) => {
  document.getElementById("main").textContent = `The description could not be loaded: ${error}`;
});
