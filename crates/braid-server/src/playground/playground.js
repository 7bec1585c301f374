"use strict";

const byId = (id) => document.getElementById(id);
const STAGES = [["lexical", "lexical"], ["dense", "dense"], ["fused", "fused"], ["rerank", "re-ranked"]];

// Text is only ever set through textContent: nothing that was ingested is run as markup.
function element(tag, className, ...content) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...content);
  return node;
}

async function ask(path, options) {
  const response = await fetch(path, options).catch(() => {
    throw new Error("The server does not answer.");
  });
  const body = await response.json();
  if (!response.ok) {
    // The detail names the first bad field.
    const others = (body.errors || []).slice(1).map((field) => `${field.pointer || "body"}: ${field.detail}`);
    throw new Error([`${body.error_code}: ${body.detail}`, ...others].join("\n"));
  }
  return body;
}

async function loadCollections() {
  const { collections } = await ask("/v1/collections");
  byId("collection").replaceChildren(...collections.map((collection) => {
    const option = element("option", "", `${collection.name} (${collection.documents})`);
    option.value = collection.name;
    return option;
  }));
  const sum = (key) => collections.reduce((total, collection) => total + collection[key], 0);
  const lag = sum("lag") === 0 ? "up to date" : `${sum("lag")} writes behind`;
  byId("state").textContent = `${sum("documents")} documents, ${sum("chunks")} chunks, ${lag}`;
}

// A number of at most four significant digits, never in exponent form where it can be read.
function brief(score) {
  return Number(score.toPrecision(4)).toString();
}

function scoreList(hit) {
  const list = element("dl", "scores");
  for (const [stage, name] of STAGES) {
    const score = hit.scores[stage];
    const ordered = stage === hit.score_stage ? "ordered" : "";
    const cell = element("div", score ? ordered : "none", element("dt", "", name));
    const values = score ? [element("span", "", `#${score.rank}`), element("span", "", brief(score.score))] : ["–"];
    cell.append(element("dd", "", ...values));
    cell.dataset.stage = stage;
    list.append(cell);
  }
  return list;
}

function renderHit(hit) {
  const path = [hit.source.title, ...hit.source.heading_path].filter(Boolean);
  const name = path.filter((part, at) => part !== path[at - 1]).join(" › ") || hit.document_id;
  const title = element("h2", "", element("span", "rank", String(hit.rank)), name);
  const source = hit.source.uri && hit.source.uri !== hit.document_id ? ` · ${hit.source.uri}` : "";
  const where = `${hit.document_id}${source} · characters ${hit.source.char_start}–${hit.source.char_end}`;
  const item = element("li", "hit", title, element("div", "where", where), element("div", "text", hit.text));
  const fields = Object.entries(hit.metadata).map(([key, value]) => `${key}: ${[value].flat().join(", ")}`);
  if (fields.length) item.append(element("div", "metadata", fields.join(" · ")));
  item.append(scoreList(hit));
  return item;
}

function renderSummary(answer) {
  const parts = Object.entries(answer.timings_ms)
    .filter(([, ms]) => ms > 0)
    .map(([stage, ms]) => element("span", "", `${stage} `, element("b", "", `${ms.toFixed(1)} ms`)));
  if (answer.rerank) parts.push(element("span", "", `re-ranked ${answer.rerank.scored} of ${answer.rerank.of}`));
  if (answer.lag) parts.push(element("span", "", `${answer.lag} writes behind`));
  for (const { detail } of answer.notes) parts.push(element("span", "note", `note: ${detail}`));
  for (const { stage, reason } of answer.degraded) parts.push(element("span", "degraded", `degraded: ${stage}: ${reason}`));
  byId("summary").replaceChildren(...parts);
}

function render(answer) {
  renderSummary(answer);
  const hits = answer.hits.map(renderHit);
  byId("hits").replaceChildren(...(hits.length ? hits : [element("li", "empty", "Nothing found.")]));
  byId("tokens").textContent = String(answer.context.tokens);
  byId("context-text").textContent = answer.context.text;
}

// Shows an answer or an error, never both.
function show(answer, error) {
  byId("error").textContent = error ? error.message : "";
  byId("error").hidden = !error;
  byId("summary").hidden = !answer;
  byId("context").hidden = !answer || answer.context.tokens === 0;
  if (answer) render(answer);
  else byId("hits").replaceChildren();
}

function request() {
  return {
    query: byId("query").value,
    collection: byId("collection").value || "default",
    top_k: byId("top_k").valueAsNumber,
    mode: byId("mode").value,
    rerank: { enabled: byId("rerank").checked },
    explain: true,
  };
}

function showRequest(body) {
  const quoted = body.replaceAll("'", "'\\''");
  byId("request-text").textContent = `curl ${location.origin}/retrieve -H 'content-type: application/json' -d '${quoted}'`;
  byId("request").hidden = false;
}

// The page's address asks the same question again.
function remember(asked) {
  const link = new URLSearchParams({ q: asked.query, collection: asked.collection });
  if (asked.mode !== "hybrid") link.set("mode", asked.mode);
  if (asked.top_k !== 8) link.set("top_k", asked.top_k);
  if (!asked.rerank.enabled) link.set("rerank", "off");
  history.replaceState(null, "", `?${link}`);
}

function recall() {
  const link = new URLSearchParams(location.search);
  for (const [parameter, id] of [["q", "query"], ["collection", "collection"], ["mode", "mode"], ["top_k", "top_k"]]) {
    if (link.has(parameter)) byId(id).value = link.get(parameter);
  }
  byId("rerank").checked = link.get("rerank") !== "off";
  return link.has("q");
}

async function retrieve() {
  byId("submit").disabled = true;
  const asked = request();
  const body = JSON.stringify(asked);
  remember(asked);
  showRequest(body);
  try {
    const headers = { "content-type": "application/json" };
    show(await ask("/retrieve", { method: "POST", headers, body }), null);
  } catch (error) {
    show(null, error);
  } finally {
    byId("submit").disabled = false;
  }
}

async function start() {
  byId("form").addEventListener("submit", (event) => {
    event.preventDefault();
    retrieve();
  });
  await loadCollections();
  if (recall()) await retrieve();
}

start().catch((error) => show(null, error));
