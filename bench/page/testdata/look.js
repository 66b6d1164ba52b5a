// Looks at a page as a browser laid it out and lists what is wrong with it.
(() => {
  const faults = [], width = innerWidth
  const fault = (what, el) => faults.push(what + ': ' + (el ? `<${el.tagName.toLowerCase()} class="${el.getAttribute('class') || ''}"> ${(el.textContent || '').trim().slice(0, 60)}` : ''))
  const shown = el => el.checkVisibility({ visibilityProperty: true }) && !el.closest('.vh, .skip, script, style, title') &&
    getComputedStyle(el).clipPath === 'none'
  const hidden = el => { for (let e = el; e; e = e.parentElement) if (getComputedStyle(e).clipPath.startsWith('inset(50%')) return true; return false }
  const scrolls = el => { for (let e = el; e; e = e.parentElement) if (/auto|scroll/.test(getComputedStyle(e).overflowX)) return true; return false }
  const speaks = el => [...el.childNodes].some(n => n.nodeType === 3 && n.data.trim())
  for (const d of document.querySelectorAll('details')) d.open = true

  if (document.documentElement.scrollWidth > width) fault(`the page is ${document.documentElement.scrollWidth} px wide on ${width}`)
  const texts = [...document.body.querySelectorAll('*')].filter(el => speaks(el) && shown(el) && !hidden(el))
  for (const el of texts) {
    const r = el.getBoundingClientRect()
    if (!scrolls(el) && (r.left < -0.5 || r.right > width + 0.5)) fault(`outside the screen (${Math.round(r.left)} to ${Math.round(r.right)})`, el)
    const s = getComputedStyle(el)
    if (s.overflowX === 'hidden' && el.scrollWidth > el.clientWidth + 1) fault('cut off', el)
  }

  // Labels of one drawing keep apart, and so do the cells of one row.
  const apart = (els, what) => {
    const boxes = els.filter(el => shown(el) && !hidden(el)).map(el => [el, el.getBoundingClientRect()]).filter(([, r]) => r.width && r.height)
    for (let i = 0; i < boxes.length; i++) for (let j = i + 1; j < boxes.length; j++) {
      const [a, ra] = boxes[i], [b, rb] = boxes[j]
      if (ra.left < rb.right - 1 && rb.left < ra.right - 1 && ra.top < rb.bottom - 1 && rb.top < ra.bottom - 1)
        fault(`${what} "${a.textContent.trim()}" and "${b.textContent.trim()}" overlap`)
    }
  }
  for (const plot of document.querySelectorAll('.plot')) {
    apart([...plot.querySelectorAll('.xt, .yt')], 'labels')
  }
  for (const ax of document.querySelectorAll('.ax .tr')) apart([...ax.querySelectorAll('b')], 'labels')
  for (const row of document.querySelectorAll('.iv .r:not(.ax)')) apart([...row.querySelectorAll('.n, .val, .p')], 'cells')
  apart([...document.querySelectorAll('.sub, figcaption, .lg, .plot, h2, h3, .q, .lead, summary')].filter(el => !el.closest('details') || el.tagName === 'SUMMARY'), 'parts')

  // Contrast of every text, and of every line, with what is behind it.
  const channels = c => { const m = c.match(/[\d.]+/g).map(Number); return { rgb: m.slice(0, 3), a: m.length > 3 ? m[3] : 1 } }
  const light = rgb => { const [r, g, b] = rgb.map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b }
  const ground = el => { for (let e = el; e; e = e.parentElement) { const c = channels(getComputedStyle(e).backgroundColor); if (c.a > 0) return c.rgb } return [255, 255, 255] }
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05) }
  const root = channels(getComputedStyle(document.body).backgroundColor).rgb
  for (const el of texts) {
    const c = ratio(channels(getComputedStyle(el).color).rgb, ground(el))
    if (c < 4.5) fault(`contrast ${c.toFixed(2)} of text`, el)
  }
  for (const el of document.querySelectorAll('path.l')) {
    const c = ratio(channels(getComputedStyle(el).stroke).rgb, root)
    if (c.toFixed(1) < 3.9) fault(`contrast ${c.toFixed(2)} of line`, el)
  }

  // One h1, no level left out, every part in a landmark.
  let level = 0
  for (const h of document.querySelectorAll('h1, h2, h3, h4, h5, h6')) {
    const n = Number(h.tagName[1])
    if (n > level + 1) fault(`heading of level ${n} after ${level}`, h)
    level = n
  }
  if (document.querySelectorAll('h1').length !== 1) fault('not one h1')
  for (const name of ['main', 'header', 'nav', 'footer']) if (!document.querySelector(name)) fault('no ' + name)
  for (const a of document.querySelectorAll('a')) if (!document.querySelector(a.getAttribute('href'))) fault('a link to nowhere', a)
  for (const img of document.querySelectorAll('[role=img]')) {
    if (!(img.getAttribute('aria-label') || '').trim()) fault('a chart without a name', img)
    const figure = img.closest('figure, .st')
    let next = figure && figure.nextElementSibling
    while (next && !next.matches('details, h3, figure, section')) next = next.nextElementSibling
    if (!next || !next.matches('details') || !next.querySelector('table')) fault('a chart without a table', img)
  }
  for (const th of document.querySelectorAll('th')) if (!th.scope) fault('a header without a scope', th)
  for (const el of document.querySelectorAll('path.l')) if (!el.getAttribute('d')) fault('a line that draws nothing', el)
  return { faults, dark: light(root) < 0.2, texts: texts.length }
})()
