"use strict";

const byId = (id) => document.getElementById(id);
const STAGES = ["lexical", "dense", "fused", "rerank"];

// Text is only ever set through textContent: nothing that was ingested is run as markup.
function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

async function ask(path, options) {
  const response = await fetch(path, options);
  const body = await response.json();
  if (!response.ok) {
    const fields = (body.errors || []).map((field) => `${field.pointer || "body"}: ${field.detail}`);
    throw new Error([`${body.error_code}: ${body.detail}`, ...fields].join("\n"));
  }
  return body;
}

async function loadCollections() {
  const { collections } = await ask("/v1/collections");
  const select = byId("collection");
  select.replaceChildren(...collections.map((collection) => {
    const option = element("option", "", `${collection.name} (${collection.documents})`);
    option.value = collection.name;
    return option;
  }));
  const chunks = collections.reduce((sum, collection) => sum + collection.chunks, 0);
  const lag = collections.reduce((sum, collection) => sum + collection.lag, 0);
  byId("state").textContent = `${chunks} chunks, ${lag === 0 ? "up to date" : `${lag} writes behind`}`;
}

function scoreTable(scores) {
  const table = element("table");
  const [stages, ranks, values] = [element("tr"), element("tr"), element("tr")];
  stages.append(element("th", "", "stage"));
  ranks.append(element("th", "", "rank"));
  values.append(element("th", "", "score"));
  for (const stage of STAGES) {
    const score = scores[stage];
    stages.append(element("td", "", stage));
    ranks.append(element("td", "", score ? String(score.rank) : "–"));
    values.append(element("td", "", score ? score.score.toPrecision(4) : "–"));
  }
  table.append(stages, ranks, values);
  return table;
}

function renderHit(hit) {
  const item = element("li", "hit");
  const title = element("h2");
  const path = [hit.source.title, ...hit.source.heading_path].filter(Boolean);
  title.append(
    element("span", "rank", `${hit.rank}`),
    element("span", "", path.filter((part, at) => part !== path[at - 1]).join(" › ") || hit.document_id),
  );
  const source = hit.source.uri || hit.document_id;
  const where = `${source} · characters ${hit.source.char_start}–${hit.source.char_end} · ordered by ${hit.score_stage}`;
  item.append(title, element("div", "where", where), element("div", "text", hit.text), scoreTable(hit.scores));
  return item;
}

function renderSummary(answer) {
  const parts = Object.entries(answer.timings_ms).map(([stage, ms]) => element("span", "", `${stage} ${ms.toFixed(1)} ms`));
  if (answer.rerank) parts.push(element("span", "", `scored ${answer.rerank.scored} of ${answer.rerank.of}`));
  for (const { stage, reason } of answer.degraded) parts.push(element("span", "degraded", `${stage}: ${reason}`));
  byId("summary").replaceChildren(...parts);
  byId("summary").hidden = false;
}

function render(answer) {
  renderSummary(answer);
  const hits = answer.hits.map(renderHit);
  byId("hits").replaceChildren(...(hits.length ? hits : [element("li", "soft", "Nothing found.")]));
  byId("tokens").textContent = String(answer.context.tokens);
  byId("context-text").textContent = answer.context.text;
  byId("context").hidden = answer.context.tokens === 0;
}

function showError(error) {
  byId("error").textContent = error ? error.message : "";
  byId("error").hidden = !error;
}

async function retrieve(event) {
  event.preventDefault();
  const button = byId("form").querySelector("button");
  button.disabled = true;
  try {
    const body = {
      query: byId("query").value,
      collection: byId("collection").value || "default",
      top_k: Number(byId("top_k").value),
      mode: byId("mode").value,
      rerank: { enabled: byId("rerank").checked },
      explain: true,
    };
    const headers = { "content-type": "application/json" };
    render(await ask("/retrieve", { method: "POST", headers, body: JSON.stringify(body) }));
    showError(null);
  } catch (error) {
    showError(error);
  } finally {
    button.disabled = false;
  }
}

byId("form").addEventListener("submit", retrieve);
loadCollections().catch(showError);
