// Reload what is shown when settings, templates or stories change; keep the place on the page.
const seen = { version: null };
const look = async () => {
  if (document.hidden || document.activeElement?.matches("textarea, select, input:not([type=checkbox])")) return;
  try {
    const answer = await fetch("version" + location.search);
    const { version } = await answer.json();
    if (seen.version && seen.version !== version) location.reload();
    seen.version = version;
  } catch { /* the command was ended: keep what is shown */ }
};
// Which guises are shown stays as it was chosen, also when the page reloads itself.
for (const box of document.querySelectorAll("fieldset input")) {
  const kept = sessionStorage.getItem(box.id) ?? (box.id === "show-desktop" && innerWidth < 720 ? "no" : null);
  if (kept) box.checked = kept === "yes";
  box.addEventListener("change", () => sessionStorage.setItem(box.id, box.checked ? "yes" : "no"));
}
look();
setInterval(look, 2000);
