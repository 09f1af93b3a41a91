// Reload what is shown when settings, templates or stories change; keep the place on the page, and what was written.
const seen = { version: null, held: false };
const written = () => [...document.querySelectorAll("textarea, input:not([type=hidden], [name=tab]), select")].some(
  (one) => one.type === "radio" ? one.checked !== one.defaultChecked : one.matches("select") ? [...one.options].some((option) => option.selected !== option.defaultSelected && one.value)
    : one.value !== one.defaultValue);
const look = async () => {
  if (document.hidden || seen.held) return;
  try {
    const answer = await fetch("version" + location.search);
    const { version } = await answer.json();
    const busy = document.activeElement?.matches("textarea, select, input:not([name=tab])") || written();
    if (!seen.version) seen.version = version;
    if (seen.version === version || seen.held) return;
    // Under who writes nothing is moved: they are told.
    if (busy) document.getElementById("changed").hidden = false;
    else location.reload();
  } catch { /* the command was ended: keep what is shown */ }
};

// Which tab is shown stays as it was chosen, also when the page reloads itself; a link to a finding goes first.
const tabs = [...document.querySelectorAll(".tabs input")];
const kept = sessionStorage.getItem("tab") ?? (innerWidth < 720 ? "show-phone" : null);
if (kept && !new URLSearchParams(location.search).has("show")) {
  const tab = document.getElementById(kept);
  if (tab) tab.checked = true;
}
for (const tab of tabs) tab.addEventListener("change", () => sessionStorage.setItem("tab", tab.id));

// Stories by drag, and by Alt+↑ and Alt+↓ on a handle. Each is the form beside the story, as without a script.
const list = document.getElementById("stories");
const items = list ? [...list.querySelectorAll(":scope > li[draggable]")] : [];
const put = (item, place) => {
  const form = item.querySelector("form.grip");
  const field = document.createElement("input");
  Object.assign(field, { type: "hidden", name: "place", value: String(place) });
  form.append(field);
  sessionStorage.setItem("moved", item.dataset.seq);
  form.submit();
};
let dragged = null;
items.forEach((item, at) => {
  item.addEventListener("dragstart", (event) => {
    if (event.target !== item) return;
    dragged = at;
    seen.held = true;
    item.classList.add("dragged");
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", item.dataset.seq);
  });
  item.addEventListener("dragend", () => {
    dragged = null;
    seen.held = false;
    for (const one of items) one.classList.remove("dragged", "over");
  });
  item.addEventListener("dragover", (event) => {
    if (dragged === null) return;
    event.preventDefault();
    for (const one of items) one.classList.toggle("over", one === item);
  });
  item.addEventListener("drop", (event) => {
    if (dragged === null || dragged === at) return;
    event.preventDefault();
    const box = item.getBoundingClientRect();
    const before = at + (event.clientY > box.top + box.height / 2 ? 1 : 0); // of how many it stands behind
    put(items[dragged], dragged < before ? before : before + 1);
  });
  // Where text is marked or written, dragging the story would take it away from who does.
  for (const field of item.querySelectorAll("input, textarea, select")) {
    field.addEventListener("focus", () => { item.draggable = false; });
    field.addEventListener("blur", () => { item.draggable = true; });
  }
  item.querySelector("form.grip").addEventListener("submit", () => sessionStorage.setItem("moved", item.dataset.seq));
  item.addEventListener("keydown", (event) => {
    if (!event.altKey || !["ArrowUp", "ArrowDown"].includes(event.key) || event.target.matches("input, textarea, select")) return;
    event.preventDefault();
    const place = at + 1 + (event.key === "ArrowUp" ? -1 : 1);
    if (place >= 1 && place <= items.length) put(item, place);
  });
});
const moved = sessionStorage.getItem("moved");
if (moved) {
  sessionStorage.removeItem("moved");
  const handles = [...(items.find((item) => item.dataset.seq === moved)?.querySelectorAll(".grip button") ?? [])];
  handles.find((handle) => !handle.disabled)?.focus();
}

// What is posted may take a while: a picture is asked for, links are looked up. Who presses again would do it twice.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (seen.posting) { event.preventDefault(); return; }
    seen.posting = seen.held = true;
    setTimeout(() => { if (seen.posting) document.getElementById("busy").hidden = false; }, 400);
  });
}
addEventListener("pageshow", () => { seen.posting = seen.held = false; document.getElementById("busy")?.setAttribute("hidden", ""); });

document.addEventListener("keydown", (event) => {
  if (event.target.matches("input:not([type=radio]), textarea, select")) return;
  const z = event.key === "z" && (event.ctrlKey || event.metaKey) && !event.shiftKey;
  const u = event.key === "u" && !event.ctrlKey && !event.metaKey && !event.altKey;
  const button = document.getElementById("undo");
  if ((z || u) && button) {
    event.preventDefault();
    button.click();
  }
});
look();
setInterval(look, 2000);
