// What pages do beyond links and forms: keys, times in other zones, dialogs, news of changes.
"use strict";
(() => {
  const root = document.body.dataset.root;
  const stored = (name) => { try { return localStorage.getItem(name) || ""; } catch { return ""; } };
  const store = (name, value) => { try { localStorage.setItem(name, value); } catch { /* not kept */ } };
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // Times: UTC as the server prints them, local, or relative to now.
  const steps = [[60, "second"], [60, "minute"], [24, "hour"], [Infinity, "day"]];
  const relative = (at) => {
    let value = (at - Date.now()) / 1000;
    const format = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
    for (const [size, unit] of steps) {
      if (Math.abs(value) < size) return format.format(Math.round(value), unit);
      value /= size;
    }
  };
  const showTimes = (within = document) => {
    const zone = stored("arvo.zone") || "utc";
    for (const time of all("time", within)) {
      time.dataset.utc ||= time.textContent;
      const at = new Date(time.dateTime);
      time.textContent = zone === "local" ? at.toLocaleString() : zone === "relative" ? relative(at) : time.dataset.utc;
      time.title = zone === "utc" ? at.toLocaleString() : time.dataset.utc;
    }
  };

  // A box with wider content is scrolled by keys as well, so it must take the focus.
  const scrollers = new ResizeObserver((entries) => {
    for (const { target: box } of entries) {
      const isScrolled = box.scrollWidth > box.clientWidth;
      const attributes = { tabindex: "0", role: "region", "aria-label": box.querySelector("caption, figcaption").textContent };
      for (const [name, value] of Object.entries(attributes)) {
        if (isScrolled) box.setAttribute(name, value);
        else box.removeAttribute(name);
      }
    }
  });

  // What only works with scripts is hidden until here.
  const enhance = (within = document) => {
    showTimes(within);
    for (const box of all(".wide, .timeline", within)) scrollers.observe(box);
    for (const button of all("button.copy", within)) button.hidden = !navigator.clipboard;
  };

  const settings = document.querySelector(".settings");
  settings.hidden = false;
  for (const [name, apply] of [["zone", () => showTimes()], ["theme", (value) => {
    if (value) document.documentElement.dataset.theme = value;
    else delete document.documentElement.dataset.theme;
  }]]) {
    const select = settings.querySelector(`#${name}`);
    select.value = stored(`arvo.${name}`) || select.options[0].value;
    select.addEventListener("change", () => { store(`arvo.${name}`, select.value); apply(select.value); });
  }

  // A form to act opens in a dialog; without scripts its link leads to the same page.
  const dialog = document.getElementById("act");
  const openForm = async (link) => {
    const answer = await fetch(link.href, { headers: { accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const heading = page.querySelector("h1"), form = page.getElementById("form");
    if (!form) { location.assign(link.href); return; }
    const title = document.createElement("h2");
    title.textContent = heading.textContent;
    dialog.replaceChildren(title, form);
    dialog.showModal();
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-dialog]");
    const plain = !event.metaKey && !event.ctrlKey && !event.shiftKey && event.button === 0;
    if (link && plain) { event.preventDefault(); openForm(link); }
    if (event.target.closest("#act [data-close]")) { event.preventDefault(); dialog.close(); }
    const copy = event.target.closest("button.copy");
    if (copy) {
      const text = copy.dataset.text || copy.closest(".data").querySelector("pre").textContent;
      navigator.clipboard.writeText(text).then(() => { copy.textContent = "Copied"; });
    }
  });

  // Rows: j and k move from the row in focus, Enter opens.
  const move = (by) => {
    const links = all("table.list tbody th a");
    const rows = links.map((link) => link.closest("tr"));
    const row = rows.indexOf(document.activeElement.closest("tr"));
    links[row < 0 ? 0 : Math.max(0, Math.min(links.length - 1, row + by))]?.focus();
  };
  // Selected rows: x selects the row in focus; the form says how many are selected.
  const selected = () => all("table.list tbody input[type=checkbox]:checked");
  const countSelected = () => {
    const text = document.querySelector("#bar .selected"), count = selected().length;
    if (text) text.textContent = count ? `(${count})` : "";
  };
  document.addEventListener("change", (event) => {
    if (!event.target.matches("table.list input[type=checkbox]")) return;
    countSelected();
    if (event.target.checked) document.getElementById("scope-selected").checked = true;
  });
  const go = (page) => location.assign(root + page);
  const pages = { o: "", w: "workflows", d: "dead-letters", t: "timers", s: "system" };
  let prefix = "";
  document.addEventListener("keydown", (event) => {
    const inInput = event.target.closest("input, textarea, select, dialog");
    if (inInput || event.ctrlKey || event.metaKey || event.altKey) return;
    if (prefix === "g" && event.key in pages) { prefix = ""; event.preventDefault(); go(pages[event.key]); return; }
    prefix = event.key === "g" ? "g" : "";
    const step = { "[": "previous", "]": "next" }[event.key];
    if (event.key === "/") { event.preventDefault(); document.getElementById("search").focus(); }
    else if (event.key === "?") document.getElementById("keys").showModal();
    else if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "x") document.activeElement.closest("tr")?.querySelector("input[type=checkbox]")?.click();
    else if (step) document.querySelector(`a[data-revision="${step}"]`)?.click();
  });

  // Changes: the visible part is read again at the top of the page, or a bar offers it.
  const news = document.querySelector(".news");
  const changed = new Set();
  const refresh = () => { changed.clear(); news.replaceChildren(); htmx.trigger("#live", "refresh"); };
  const show = (text) => {
    const live = document.getElementById("live");
    const isRead = live.contains(document.activeElement) || document.querySelector("dialog[open]") || selected().length;
    const isScrolled = window.scrollY >= 50 || live.querySelector(".rows")?.scrollTop >= 50;
    if (!isScrolled && !isRead) { refresh(); return; }
    const button = document.createElement("button");
    button.textContent = text;
    button.addEventListener("click", refresh);
    news.replaceChildren(button);
  };
  const offer = () => show(changed.size ? `${changed.size} changed, show` : "Some may have changed, show");
  const { live: address, since } = document.body.dataset;
  let last = since, lost = null, source = null;
  const watch = () => {
    let isEnding = false;
    source = new EventSource(`${address}?after=${last}`);
    source.addEventListener("changed", (event) => {
      last = event.lastEventId;
      for (const id of JSON.parse(event.data)) changed.add(id);
      offer();
    });
    source.addEventListener("end", () => { isEnding = true; });
    source.addEventListener("error", () => {
      if (isEnding) { isEnding = false; return; }
      lost ||= new Date();
      news.textContent = `No news of changes since ${lost.toLocaleTimeString()}: trying again.`;
      // A browser asks again after a broken connection, but not after an answer such as a proxy's 502.
      if (source?.readyState === EventSource.CLOSED) setTimeout(follow, 3000);
    });
    source.addEventListener("open", () => {
      if (!lost) return;
      lost = null;
      if (changed.size) offer();
      else news.replaceChildren();
    });
  };
  // A browser has six connections to a server, for all of its tabs: one that nobody sees leaves its own.
  const follow = () => {
    source?.close();
    source = null;
    if (!document.hidden) watch();
  };
  if (address) {
    document.addEventListener("visibilitychange", follow);
    follow();
  }
  // The focus stays in its place when the link that had it is replaced by what it has loaded.
  let place = null;
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[hx-get]"), row = link?.closest("tr.more");
    place = row ? { rows: row.parentElement, index: row.sectionRowIndex } : link?.id ? { id: link.id } : null;
  });
  const keepPlace = () => {
    if (!place || document.activeElement !== document.body) return;
    const { id, rows, index } = place;
    (id ? document.getElementById(id) : rows.rows[index]?.querySelector("a"))?.focus();
    place = null;
  };
  document.addEventListener("htmx:after:swap", () => { enhance(); countSelected(); keepPlace(); });
  enhance();
})();
