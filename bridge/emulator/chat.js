// The chat page: shows one chat of the emulator and lets a person take part in it.

import { bubble, element, formatted, preview } from "/chat.render.js";

const $ = (id) => document.getElementById(id);
const ACTIONS = {
  typing: "typing", upload_photo: "sending a photo", upload_document: "sending a file",
  record_voice: "recording", upload_voice: "sending a voice message",
};
const DRAFT_MS = 30_000; // a draft that is not renewed disappears
const query = new URLSearchParams(location.search);
const language = query.get("lang") ?? (navigator.language.startsWith("nl") ? "nl" : "en");

const chat = { id: 0, about: null, messages: new Map(), items: new Map(), opened: new Map(), unread: 0, pinned: true };
const composing = { file: null, replyTo: null };
const waiting = new Map(); // id of a callback query -> the pressed button
let passingTimer = 0;
let toastTimer = 0;

// The server

async function ask(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

async function order(name, body) {
  const form = body instanceof FormData;
  const response = await fetch(`/emulator/${name}`, {
    method: "POST",
    headers: form ? {} : { "Content-Type": "application/json" },
    body: form ? body : JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

async function connect() {
  try {
    chat.about = await ask("/emulator/about");
    chat.id = Number(query.get("chat") ?? chat.about.chat_id);
    const { seq, messages } = await ask(`/emulator/messages?chat_id=${chat.id}`);
    showAbout();
    showAll(messages);
    setStatus("bot", "");
    listen(seq);
  } catch {
    setStatus("connecting…", "lost");
    setTimeout(connect, 1000);
  }
}

const handlers = {
  message: onMessage, deleted: onDeleted, action: onAction, draft: onDraft, toast: onToast, status: onStatus,
};

// After a loss everything is loaded anew: the server may be another one, with other numbers.
function listen(seq) {
  const socket = new WebSocket(`ws://${location.host}/emulator/events?chat_id=${chat.id}&since=${seq}`);
  socket.onopen = () => setStatus("bot", "");
  socket.onclose = () => {
    setStatus("connecting…", "lost");
    setTimeout(connect, 1000);
  };
  socket.onmessage = (event) => {
    const { kind, data } = JSON.parse(event.data);
    handlers[kind](data);
  };
}

function onMessage(message) {
  const fresh = !chat.messages.has(message.message_id);
  show(message);
  if (!fresh) return;
  clearPassing();
  if (!chat.pinned) chat.unread += 1;
  showDown();
  const item = chat.items.get(message.message_id);
  item.classList.add("fresh");
  if (message.from_bot && !message.silent) item.classList.add("rings");
}

function onDeleted({ message_id: id }) {
  chat.messages.delete(id);
  chat.items.get(id)?.remove();
  chat.items.delete(id);
  arrange();
}

function onAction({ action, seconds }) {
  setStatus(`${ACTIONS[action] ?? action}…`, "active");
  const dots = element("div", "dots", element("i"), element("i"), element("i"));
  passing(element("div", "bubble typing", dots), seconds * 1000);
}

function onDraft({ text, entities }) {
  const shown = text ? formatted(text, entities, new Set()) : [element("em", "", "Thinking…")];
  passing(element("div", "bubble draft", element("div", "text", ...shown)), DRAFT_MS);
}

function onToast({ query_id: id, text, show_alert: alert }) {
  waiting.get(id)?.classList.remove("busy");
  waiting.delete(id);
  if (text) alert ? showAlert(text) : toast(text);
}

function onStatus({ blocked, left }) {
  setStatus(blocked ? "blocked by you" : left ? "left the group" : "bot", "");
}

// What is shown

function showAbout() {
  const { name, notice } = chat.about;
  document.title = name;
  $("name").textContent = name;
  $("avatar").textContent = name.slice(0, 1);
  $("notice").textContent = notice;
  $("notice").hidden = !notice;
}

function setStatus(text, className) {
  $("status").textContent = text;
  $("status").className = className;
}

function showAll(messages) {
  chat.messages.clear();
  chat.items.clear();
  $("log").replaceChildren();
  clearPassing();
  messages.forEach(place);
  arrange();
  toBottom();
}

function show(message) {
  place(message);
  for (const other of chat.messages.values()) {
    if (other.reply_to === message.message_id) place(other);
  }
  arrange();
}

function place(message) {
  const id = message.message_id;
  if (!chat.opened.has(id)) chat.opened.set(id, new Set());
  chat.messages.set(id, message);
  const item = bubble(message, chat.messages.get(message.reply_to), chat.opened.get(id));
  const old = chat.items.get(id);
  if (old) old.replaceWith(item);
  else $("log").append(item);
  chat.items.set(id, item);
}

// Days, and which bubbles belong together, follow from the whole log.
function arrange() {
  for (const day of $("log").querySelectorAll(".day")) day.remove();
  let before = null;
  for (const [id, message] of chat.messages) {
    const item = chat.items.get(id);
    const today = new Date(message.date * 1000).toDateString();
    const newDay = before && new Date(before.date * 1000).toDateString() !== today;
    if (newDay || (!before && today !== new Date().toDateString())) {
      const name = new Date(message.date * 1000).toLocaleDateString([], { day: "numeric", month: "long" });
      item.before(element("li", "day", element("span", "", name)));
    }
    const joined = before && before.from_bot === message.from_bot && message.date - before.date < 300;
    item.classList.toggle("joined", Boolean(joined && !newDay));
    for (const quote of item.querySelectorAll(".expandable")) {
      const long = quote.classList.contains("open") || quote.scrollHeight > quote.clientHeight + 2;
      quote.classList.toggle("long", long);
    }
    before = message;
  }
  $("empty").hidden = chat.messages.size > 0;
  $("start").hidden = chat.messages.size > 0;
}

function passing(node, milliseconds) {
  clearTimeout(passingTimer);
  $("passing").replaceChildren(node);
  passingTimer = setTimeout(clearPassing, milliseconds);
}

function clearPassing() {
  clearTimeout(passingTimer);
  $("passing").replaceChildren();
  if ($("status").className === "active") setStatus("bot", "");
}

function toast(text) {
  clearTimeout(toastTimer);
  $("toast").textContent = text;
  $("toast").hidden = false;
  toastTimer = setTimeout(() => ($("toast").hidden = true), 3500);
}

function showAlert(text) {
  $("alert-text").textContent = text;
  if (!$("alert").open) $("alert").showModal();
}

// Scrolling: who is at the bottom stays there, whatever grows; others get a count of what is new

const atBottom = () => {
  const box = $("scroller");
  return box.scrollHeight - box.scrollTop - box.clientHeight < 60;
};

function toBottom() {
  $("scroller").scrollTop = $("scroller").scrollHeight;
  chat.pinned = true;
  showDown();
}

function onScroll() {
  chat.pinned = atBottom();
  showDown();
}

function showDown() {
  if (chat.pinned) chat.unread = 0;
  $("down").hidden = chat.pinned;
  $("unread").hidden = chat.unread === 0;
  $("unread").textContent = String(chat.unread);
}

const grown = new ResizeObserver(() => (chat.pinned ? toBottom() : showDown()));
for (const id of ["log", "passing", "scroller"]) grown.observe($(id));

// What the person does

async function say(text) {
  await attempt(order("send", { chat_id: chat.id, text, language, reply_to: composing.replyTo }));
}

async function attempt(promise) {
  try {
    return await promise;
  } catch (error) {
    toast(error.message);
    return null;
  }
}

async function submit() {
  const text = $("input").value.trim();
  const file = composing.file;
  if (!text && !file) return;
  $("input").value = "";
  grow();
  toBottom();
  if (file) {
    const form = new FormData();
    form.append("chat_id", String(chat.id));
    form.append("caption", text);
    form.append("file", file, file.name);
    await attempt(order("upload", form));
  } else {
    await say(text);
  }
  clearContext();
}

async function press(button, item) {
  const id = Number(item.dataset.id);
  button.classList.add("busy");
  const answer = await attempt(order("press", { chat_id: chat.id, message_id: id, button: button.dataset.press }));
  if (!answer) return button.classList.remove("busy");
  waiting.set(answer.query_id, button);
  setTimeout(() => button.classList.remove("busy"), 15_000);
}

function jump(id) {
  const target = chat.items.get(Number(id));
  if (!target) return;
  target.scrollIntoView({ block: "center", behavior: "smooth" });
  target.classList.remove("found");
  requestAnimationFrame(() => target.classList.add("found"));
}

function toggleQuote(quote, item) {
  const open = quote.classList.toggle("open");
  quote.setAttribute("aria-expanded", String(open));
  const opened = chat.opened.get(Number(item.dataset.id));
  if (open) opened?.add(quote.dataset.key);
  else opened?.delete(quote.dataset.key);
}

async function copy(text) {
  await navigator.clipboard.writeText(text);
  toast("Copied");
}

function onClick(event) {
  const item = event.target.closest("li");
  const hit = (selector) => event.target.closest(selector);
  if (!item) return;
  if (hit("[data-press]")) press(hit("[data-press]"), item);
  else if (hit("[data-copy]")) copy(hit("[data-copy]").dataset.copy);
  else if (hit("[data-say]")) say(hit("[data-say]").dataset.say);
  else if (hit("[data-jump]")) jump(hit("[data-jump]").dataset.jump);
  else if (hit(".spoiler")) hit(".spoiler").classList.add("shown");
  else if (hit(".expandable")) toggleQuote(hit(".expandable"), item);
}

function setContext(text) {
  $("context-text").textContent = text;
  $("context").hidden = false;
  $("input").focus();
}

function clearContext() {
  composing.file = null;
  composing.replyTo = null;
  $("file").value = "";
  $("context").hidden = true;
  showSend();
}

function attachFile(file) {
  if (!file) return;
  clearContext();
  composing.file = file;
  setContext(`📎 ${file.name}`);
  showSend();
}

function replyTo(event) {
  const item = event.target.closest("li[data-id]");
  if (!item || event.target.closest("button, a")) return;
  clearContext();
  composing.replyTo = Number(item.dataset.id);
  setContext(`↩ ${preview(chat.messages.get(composing.replyTo)) || "message"}`);
}

function grow() {
  const input = $("input");
  input.style.height = "auto";
  input.style.height = `${Math.min(input.scrollHeight, 160)}px`;
  showSend();
  suggest();
}

function showSend() {
  $("send").disabled = !$("input").value.trim() && !composing.file;
}

async function suggest() {
  const typed = $("input").value;
  const wanted = /^\/\w*$/.test(typed);
  if (typed === "/") chat.about = (await attempt(ask("/emulator/about"))) ?? chat.about;
  const found = wanted ? chat.about.commands.filter((c) => `/${c.command}`.startsWith(typed)) : [];
  $("commands").replaceChildren(...found.map((c) => {
    const node = element("button", "", element("b", "", `/${c.command}`), element("span", "", c.description));
    node.type = "button";
    node.addEventListener("click", () => { $("input").value = ""; grow(); say(`/${c.command}`); });
    return element("li", "", node);
  }));
  $("commands").hidden = found.length === 0;
}

$("composer").addEventListener("submit", (event) => { event.preventDefault(); submit(); });
$("input").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  submit();
});
$("input").addEventListener("input", grow);
$("input").addEventListener("paste", (event) => attachFile(event.clipboardData.files[0]));
$("attach").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", () => attachFile($("file").files[0]));
$("context-clear").addEventListener("click", clearContext);
$("start").addEventListener("click", () => say("/start"));
$("log").addEventListener("click", onClick);
$("log").addEventListener("dblclick", replyTo);
$("log").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.matches(".spoiler, .expandable")) event.target.click();
});
$("scroller").addEventListener("scroll", onScroll, { passive: true });
$("down").addEventListener("click", toBottom);
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => { event.preventDefault(); attachFile(event.dataTransfer.files[0]); });
showSend();
connect();
