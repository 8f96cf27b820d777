// How the element looks. A page changes it by these variables on the element or anywhere above, or by ::part(title value track
// fill state detail button). Words in a colour are mixed with that of the text around them: they are read on any ground.

export const STYLE = `
:host {
  --_accent: var(--headway-accent, #0f9d7a);
  --_active: var(--headway-active, #3f74e8);
  --_failed: var(--headway-failed, #d0453f);
  --_warn: var(--headway-warn, #9a6200);
  --_muted: var(--headway-muted, color-mix(in srgb, currentColor 72%, transparent));
  --_track: var(--headway-track, color-mix(in srgb, currentColor 12%, transparent));
  --_height: var(--headway-height, 0.6rem);
  --_radius: var(--headway-radius, 99px);
  display: block;
  font: var(--headway-font, inherit);
  font-variant-numeric: tabular-nums;
  min-width: 0;
}
:host([hidden]) { display: none; }
.row { display: flex; align-items: baseline; justify-content: space-between; gap: 0.75em; }
.title { font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.value { font-weight: 650; white-space: nowrap; }
.track { display: flex; height: var(--_height); margin: 0.4em 0; border-radius: var(--_radius); background: var(--_track); overflow: hidden; }
.fill { height: 100%; transition: inline-size 0.25s linear; }
.fill.done { background: var(--_accent); }
.fill.failed { background: var(--_failed); }
.fill.active { background: var(--_active); }
.running .fill.active { animation: beat 1.8s ease-in-out infinite; }
.foot { font-size: 0.87em; color: var(--_muted); flex-wrap: wrap; }
.state { font-weight: 600; }
.state.paused, .state.pausing, .state.canceling { color: var(--_warn); }
.state.failed, .wrong { color: color-mix(in srgb, var(--_failed) 78%, currentColor); }
.state.completed { color: color-mix(in srgb, var(--_accent) 68%, currentColor); }
.buttons { display: flex; gap: 0.4em; margin-top: 0.5em; }
.buttons:empty { display: none; }
button { font: inherit; font-size: 0.87em; padding: 0.25em 0.8em; color: inherit; background: none; cursor: pointer;
  border: 1px solid color-mix(in srgb, currentColor 30%, transparent); border-radius: 0.5em; }
button:hover { background: var(--_track); }
button:focus-visible { outline: 2px solid var(--_active); outline-offset: 2px; }
button[aria-disabled] { opacity: 0.5; cursor: default; }
.unseen { position: absolute; width: 1px; height: 1px; margin: 0; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
[hidden] { display: none; }
@keyframes beat { 50% { opacity: 0.45; } }
@media (prefers-color-scheme: dark) {
  :host { --_accent: var(--headway-accent, #2cbf9b); --_active: var(--headway-active, #6f9bff); --_failed: var(--headway-failed, #f0726b); --_warn: var(--headway-warn, #f0bd5a); }
}
@media (prefers-reduced-motion: reduce) { * { animation: none !important; transition: none !important; } }
@media (forced-colors: active) { .track { border: 1px solid; } .fill { forced-color-adjust: none; } }
`
