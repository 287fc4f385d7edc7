// Before the page is painted: the theme and the zone of times that this browser has chosen.
"use strict";
try {
  const theme = localStorage.getItem("arvo.theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch { /* storage is switched off: the system's theme */ }
