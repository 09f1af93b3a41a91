// Reload what is shown when settings, templates or stories change; keep the place on the page.
const seen = { version: null };
const look = async () => {
  if (document.hidden || document.activeElement?.matches("textarea, input, select")) return;
  try {
    const answer = await fetch("version" + location.search);
    const { version } = await answer.json();
    if (seen.version && seen.version !== version) location.reload();
    seen.version = version;
  } catch { /* the command was ended: keep what is shown */ }
};
look();
setInterval(look, 2000);
