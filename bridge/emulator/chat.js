// The chat page: shows one chat of the emulator and lets a person take part in it.
//
// The address chooses what is seen: ?chat= and ?topic=, ?user= who looks and ?name= their name,
// ?lang= en or nl, ?tz= their zone, ?theme= light or dark, ?width= in pixels, ?rich=off for a
// client without rich messages, ?sounds=on to mark what rings, ?notice=off, ?start= the payload
// of a deep link.

import { avatar, bubble, draftBubble, preview } from "/chat.render.js";
import { element } from "/chat.text.js";
import { compose, offer } from "/chat.compose.js";
import { day, language, word } from "/chat.words.js";

const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const GENERAL = 1;

export const chat = {
  id: 0, user: 0, topic: null, about: null, info: null,
  messages: new Map(), items: new Map(), opened: new Map(), unread: 0, pinned: true,
};
const waiting = new Map(); // id of a callback query -> the pressed button
let passingTimer = 0;
let toastTimer = 0;

// The server

export async function ask(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

export async function order(name, body) {
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

export async function attempt(promise) {
  try {
    return await promise;
  } catch (error) {
    toast(error.message);
    return null;
  }
}

// Who speaks, and where: part of every order.
export function speaker() {
  const who = { chat_id: chat.id, language };
  if (chat.user !== chat.id) who.user_id = chat.user;
  if (chat.topic !== null && chat.topic !== GENERAL) who.thread_id = chat.topic;
  if (query.get("name")) who.first_name = query.get("name");
  return who;
}

async function connect() {
  try {
    chat.about = await ask("/emulator/about");
    chat.id = Number(query.get("chat") ?? chat.about.chat_id);
    chat.user = Number(query.get("user") ?? (chat.id > 0 ? chat.id : 1));
    chat.topic = query.has("topic") ? Number(query.get("topic")) : chat.topic;
    await learn();
    const { seq, messages } = await ask(`/emulator/messages?chat_id=${chat.id}`);
    showAll(messages);
    listen(seq);
  } catch (error) {
    console.error(error);
    setStatus(word("connecting"), "lost");
    setTimeout(connect, 1000);
  }
}

async function learn() {
  chat.info = await ask(`/emulator/chat?chat_id=${chat.id}&user_id=${chat.user}&lang=${language}`);
  showAbout();
  offer();
}

const handlers = {
  message: onMessage, deleted: onDeleted, action: onAction, draft: onDraft, draft_ended: onDraftEnded, toast: onToast,
  status: () => attempt(learn()), topics: () => attempt(learn()), menu: () => attempt(learn()),
};

// After a loss everything is loaded anew: the server may be another one, with other numbers.
function listen(seq) {
  const socket = new WebSocket(`ws://${location.host}/emulator/events?chat_id=${chat.id}&since=${seq}`);
  socket.onclose = () => {
    setStatus(word("connecting"), "lost");
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
  if (!fresh || !here(message.thread_id)) return;
  if (message.from_bot) clearPassing();
  if (!chat.pinned) chat.unread += 1;
  showDown();
  const item = chat.items.get(message.message_id);
  item.classList.add("fresh");
  if (message.from_bot && !message.silent) item.classList.add("rings");
  offer();
}

function onDeleted({ message_id: id }) {
  chat.messages.delete(id);
  chat.items.get(id)?.remove();
  chat.items.delete(id);
  arrange();
}

function onAction({ action, seconds, thread_id: thread }) {
  if (!here(thread)) return;
  setStatus(word("does", chat.about.name, word(action)), "active");
  const dots = element("div", "dots", element("i"), element("i"), element("i"));
  passing(element("div", "bubble typing", dots), seconds * 1000);
}

function onDraft(draft) {
  if (!here(draft.thread_id)) return;
  passing(draftBubble(draft, new Set()), draft.seconds * 1000);
  $("stop")?.addEventListener("click", () => attempt(order("stop_draft", { chat_id: chat.id, thread_id: draft.thread_id })));
}

function onDraftEnded({ thread_id: thread }) {
  if (here(thread)) clearPassing();
}

function onToast({ query_id: id, text, show_alert: alert }) {
  const button = waiting.get(id);
  button?.classList.remove("busy");
  waiting.delete(id);
  if (text && button) alert ? showAlert(text) : toast(text);
}

// What is shown

export const here = (thread) => chat.topic === null || (chat.topic === GENERAL ? !thread : thread === chat.topic);
const isGroup = () => chat.id < 0;

function showAbout() {
  const { title, members, topics, has_topics: tabs, blocked, left } = chat.info;
  const name = title || chat.about.name;
  document.title = name;
  document.documentElement.lang = language;
  $("name").textContent = name;
  $("avatar").replaceWith(Object.assign(avatar(name, isGroup() ? chat.id : 0), { id: "avatar" }));
  $("notice").textContent = chat.about.notice;
  $("notice").hidden = !chat.about.notice || query.get("notice") === "off";
  $("topics").hidden = !tabs;
  const chosen = [{ thread_id: null, name: word("all") }, { thread_id: GENERAL, name: word("general") }, ...topics];
  $("topics").replaceChildren(...chosen.map(tab));
  showPinned();
  setStatus(blocked ? word("blocked") : left ? `${chat.about.name} ${word("left")}` : isGroup() ? word("members", members.length + 1) : word("bot"), "");
}

function showPinned() {
  const pinned = chat.messages.get(chat.info.pinned);
  $("pinned").hidden = !pinned;
  if (pinned) $("pinned").replaceChildren(element("b", "", word("pinned")), element("span", "", preview(pinned)));
}

function tab({ thread_id: thread, name, closed }) {
  const node = element("button", thread === chat.topic ? "chosen" : "", closed ? `🔒 ${name}` : name);
  node.type = "button";
  node.addEventListener("click", () => {
    chat.topic = thread;
    showAbout();
    offer();
    showAll([...chat.messages.values()]);
  });
  return node;
}

export function setStatus(text, className) {
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
  showPinned();
  chat.info.drafts.forEach(onDraft);
  offer();
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
  chat.messages.set(id, message);
  if (!here(message.thread_id)) return;
  const album = [...chat.messages.values()].filter((m) => m.media_group_id && m.media_group_id === message.media_group_id);
  if (album.length > 1 && album[0].message_id !== id) {
    put(id, element("li", "in-album"));
    return place(album[0]);
  }
  if (!chat.opened.has(id)) chat.opened.set(id, new Set());
  const topic = chat.topic === null && message.thread_id && chat.info.topics.find((t) => t.thread_id === message.thread_id);
  const view = {
    viewer: chat.user, group: isGroup(), sounds: query.get("sounds") === "on", rich: query.get("rich") !== "off",
    topicName: topic && !message.service ? topic.name : "",
  };
  put(id, bubble(message, chat.messages.get(message.reply_to), chat.opened.get(id), view, album.length ? album : [message]));
}

function put(id, item) {
  const old = chat.items.get(id);
  if (old) old.replaceWith(item);
  else $("log").append(item);
  chat.items.set(id, item);
}

// Days, and which bubbles belong together, follow from the whole log.
function arrange() {
  for (const line of $("log").querySelectorAll(".day")) line.remove();
  let before = null;
  for (const [id, message] of chat.messages) {
    const item = chat.items.get(id);
    if (!item || item.className === "in-album") continue;
    const newDay = !before || day(before.date) !== day(message.date);
    if (newDay) item.before(element("li", "day", element("span", "", day(message.date))));
    const joined = before && !before.service && before.user_id === message.user_id && message.date - before.date < 300;
    item.classList.toggle("joined", Boolean(joined && !newDay));
    for (const quote of item.querySelectorAll(".expandable")) {
      const long = quote.classList.contains("open") || quote.scrollHeight > quote.clientHeight + 2;
      quote.classList.toggle("long", long);
    }
    before = message;
  }
  const none = before === null;
  $("empty-title").textContent = chat.info.description ? word("what") : word("empty");
  $("empty-hint").textContent = chat.info.description || word("hint");
  $("empty").hidden = !none;
  $("start").hidden = !none || isGroup();
}

function passing(node, milliseconds) {
  clearTimeout(passingTimer);
  $("passing").replaceChildren(node);
  passingTimer = setTimeout(clearPassing, milliseconds);
}

function clearPassing() {
  clearTimeout(passingTimer);
  $("passing").replaceChildren();
  if ($("status").className === "active") showAbout();
}

export function toast(text) {
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

export function toBottom() {
  $("scroller").scrollTop = $("scroller").scrollHeight;
  chat.pinned = true;
  showDown();
}

function onScroll() {
  const box = $("scroller");
  chat.pinned = box.scrollHeight - box.scrollTop - box.clientHeight < 60;
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

// Presses on what is shown

async function press(button, item) {
  const { thread_id: _, ...who } = speaker();
  button.classList.add("busy");
  const answer = await attempt(order("press", { ...who, message_id: Number(item.dataset.id), button: button.dataset.press }));
  if (!answer) return button.classList.remove("busy");
  waiting.set(answer.query_id, button);
  setTimeout(() => button.classList.remove("busy"), 15_000);
}

export async function react(id, emoji) {
  const { thread_id: _, ...who } = speaker();
  const mine = chat.messages.get(id).reactions.some((r) => r.emoji === emoji && r.user_ids.includes(chat.user));
  await attempt(order("react", { ...who, message_id: id, emoji: mine ? "" : emoji }));
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
  toast(word("copied"));
}

function onClick(event) {
  const item = event.target.closest("li");
  const hit = (selector) => event.target.closest(selector);
  if (!item) return;
  if (hit("[data-press]")) press(hit("[data-press]"), item);
  else if (hit("[data-react]")) react(Number(item.dataset.id), hit("[data-react]").dataset.react);
  else if (hit("[data-play]")) new Audio(hit("[data-play]").dataset.play).play().catch((error) => toast(error.message));
  else if (hit("[data-copy]")) copy(hit("[data-copy]").dataset.copy);
  else if (hit("[data-say]")) attempt(order("send", { ...speaker(), text: hit("[data-say]").dataset.say }));
  else if (hit("[data-jump]")) jump(hit("[data-jump]").dataset.jump);
  else if (hit(".spoiler")) hit(".spoiler").classList.add("shown");
  else if (hit(".expandable")) toggleQuote(hit(".expandable"), item);
}

$("log").addEventListener("click", onClick);
$("log").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.matches(".spoiler, .expandable")) event.target.click();
});
$("scroller").addEventListener("scroll", onScroll, { passive: true });
$("down").addEventListener("click", toBottom);
$("pinned").addEventListener("click", () => jump(chat.info.pinned));
if (query.get("theme")) document.documentElement.dataset.theme = query.get("theme");
if (query.get("width")) $("phone").style.maxWidth = $("phone").style.width = `${Number(query.get("width"))}px`;
setStatus(word("connecting"), "lost");
compose();
connect();
