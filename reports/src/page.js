(function () {
  'use strict';
  var element = document.getElementById('data');
  if (!element || !document.body.append) return;
  var data = JSON.parse(element.textContent), view = [0, data.end], brush = null, pointed = null;
  var figures = Array.prototype.map.call(document.querySelectorAll('figure[data-figure]'), function (figure) {
    var id = figure.getAttribute('data-figure');
    figure.tabIndex = 0;
    return { element: figure, data: data.figures[id], svgs: Array.prototype.map.call(figure.querySelectorAll(':scope > svg'), chart) };
  });
  var tip = document.createElement('div');
  tip.className = 'tip';
  tip.setAttribute('role', 'status');
  tip.hidden = true;
  var reset = document.createElement('button');
  reset.type = 'button';
  reset.className = 'reset';
  reset.textContent = 'Show the whole run';
  reset.hidden = true;
  reset.onclick = function () { zoom(0, data.end); };
  document.body.append(tip, reset);
  Array.prototype.forEach.call(document.querySelectorAll('[data-script]'), function (hint) { hint.hidden = false; });

  function chart(svg) {
    var plot = svg.querySelector('.plot'), number = function (name) { return +plot.getAttribute(name); };
    var make = function (name, kind) {
      var shape = document.createElementNS(svg.namespaceURI, name);
      shape.setAttribute('class', kind);
      svg.appendChild(shape);
      return shape;
    };
    var x = svg.querySelector('g.x');
    return { svg: svg, plot: plot, left: number('x'), top: number('y'), width: number('width'), height: number('height'),
      all: plot.getAttribute('viewBox').split(' ').map(Number), ticks: x, labels: x.innerHTML,
      cross: make('line', 'cross'), brush: make('rect', 'brush') };
  }

  function moment(c, event) {
    var box = c.svg.getBoundingClientRect(), scale = c.svg.viewBox.baseVal.width / box.width;
    var part = ((event.clientX - box.left) * scale - c.left) / c.width;
    return view[0] + Math.min(1, Math.max(0, part)) * (view[1] - view[0]);
  }
  function place(c, at) { return c.left + c.width * (at - view[0]) / (view[1] - view[0]); }
  function index(at) { return Math.round((at - data.start) / data.step); }

  function clock(at) {
    var digits = data.step < 1 || at < 100 ? 1 : 0;
    if (at < 120) return at.toFixed(digits) + ' s';
    var h = Math.floor(at / 3600), m = Math.floor(at / 60) % 60, s = Math.floor(at % 60), two = function (n) { return (n < 10 ? '0' : '') + n; };
    return h ? h + ':' + two(m) + ':' + two(s) : m + ':' + two(s);
  }
  function text(value, unit) {
    if (value === null || value === undefined) return '–';
    if (unit === 'role') return data.roles[value];
    if (unit === '%') return +(value * 100).toPrecision(4) + ' %';
    return value.toLocaleString('en', { maximumSignificantDigits: 4 }) + ' ' + unit;
  }

  function point(figure, at, event) {
    pointed = { figure: figure, at: at };
    figures.forEach(function (f) { f.svgs.forEach(function (c) {
      var x = place(c, at), shown = at >= view[0] && at <= view[1];
      c.cross.setAttribute('x1', x); c.cross.setAttribute('x2', x);
      c.cross.setAttribute('y1', c.top); c.cross.setAttribute('y2', shown ? c.top + c.height : c.top);
    }); });
    var i = index(at), d = figure.data;
    tip.textContent = '';
    var head = document.createElement('b');
    head.textContent = clock(at);
    tip.append(head);
    d.names.forEach(function (name, n) {
      var value = d.values[n][i];
      if (/ seen by a monitor$/.test(name) && (value === null || value === undefined)) return;
      var row = document.createElement('div'), key = document.createElement('i'), label = document.createElement('span'), number = document.createElement('span');
      if (d.inks) key.style.background = 'var(' + d.inks[n] + ')';
      label.textContent = name;
      number.textContent = text(value, d.unit);
      row.append(key, label, number);
      tip.append(row);
    });
    tip.hidden = false;
    var c = figure.svgs.filter(function (c) { return c.svg.getBoundingClientRect().width; })[0], box = c.svg.getBoundingClientRect();
    var x = event ? event.clientX : box.left + place(c, at) * box.width / c.svg.viewBox.baseVal.width, y = event ? event.clientY : box.top + 20;
    var wide = document.documentElement.clientWidth, left = x + 16 + tip.offsetWidth > wide ? x - 16 - tip.offsetWidth : x + 16;
    tip.style.left = Math.max(4, Math.min(left, wide - tip.offsetWidth - 4)) + window.scrollX + 'px';
    tip.style.top = y + 14 + window.scrollY + 'px';
  }
  function leave() {
    tip.hidden = true;
    pointed = null;
    figures.forEach(function (f) { f.svgs.forEach(function (c) { c.cross.removeAttribute('y2'); c.cross.setAttribute('y1', 0); c.cross.setAttribute('y2', 0); }); });
  }

  function label(at, step) {
    if (step % 3600 === 0) return at / 3600 + ' h';
    if (step % 60 === 0 && data.end >= 120) return at / 60 + ' m';
    if (data.end < 120 || step < 1) return +at.toFixed(2) + ' s';
    var s = Math.round(at % 60);
    return Math.floor(at / 60) + ':' + (s < 10 ? '0' : '') + s;
  }
  function zoom(from, to) {
    var least = Math.min(data.end, 4 * data.step);
    if (to - from < least) { var middle = (from + to) / 2; from = middle - least / 2; to = middle + least / 2; }
    if (from < 0) { to -= from; from = 0; }
    if (to > data.end) { from = Math.max(0, from - to + data.end); to = data.end; }
    view = [from, to];
    var whole = from === 0 && to === data.end;
    document.body.classList.toggle('zoomed', !whole);
    reset.hidden = whole;
    figures.forEach(function (f) { f.svgs.forEach(function (c) {
      var all = c.all, unit = all[2] / data.end;
      c.plot.setAttribute('viewBox', [from * unit, all[1], (to - from) * unit, all[3]].join(' '));
      if (whole) { c.ticks.innerHTML = c.labels; return; }
      var step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400]
        .filter(function (s) { return (to - from) / s <= (c.width > 500 ? 12 : 5); })[0] || (to - from), html = '';
      for (var at = Math.ceil(from / step) * step; at <= to; at += step) {
        var x = place(c, at), bottom = c.top + c.height;
        html += '<line class="grid" x1="' + x + '" x2="' + x + '" y1="' + c.top + '" y2="' + bottom + '"/><text x="' + x + '" y="' + (bottom + 16) + '" text-anchor="middle">' + label(at, step) + '</text>';
      }
      c.ticks.innerHTML = html;
    }); });
    if (pointed) leave();
  }

  figures.forEach(function (figure) {
    figure.svgs.forEach(function (c) {
      c.svg.addEventListener('pointermove', function (event) {
        var at = moment(c, event);
        point(figure, at, event);
        if (!brush || brush.chart !== c) return;
        var a = place(c, Math.min(at, brush.at)), b = place(c, Math.max(at, brush.at));
        c.brush.setAttribute('x', a); c.brush.setAttribute('y', c.top);
        c.brush.setAttribute('width', b - a); c.brush.setAttribute('height', c.height);
      });
      c.svg.addEventListener('pointerleave', function () { if (!brush) leave(); });
      c.svg.addEventListener('pointerdown', function (event) {
        if (event.button) return;
        brush = { chart: c, at: moment(c, event), x: event.clientX };
        c.svg.setPointerCapture(event.pointerId);
      });
      c.svg.addEventListener('pointerup', function (event) {
        if (!brush) return;
        var from = brush.at, to = moment(c, event), far = Math.abs(event.clientX - brush.x) > 6;
        brush = null;
        c.brush.setAttribute('width', 0);
        if (far) zoom(Math.min(from, to), Math.max(from, to));
      });
      c.svg.addEventListener('pointercancel', function () { brush = null; c.brush.setAttribute('width', 0); leave(); });
      c.svg.addEventListener('dblclick', function () { zoom(0, data.end); });
    });
    figure.element.addEventListener('keydown', function (event) {
      var at = pointed ? pointed.at : (view[0] + view[1]) / 2, by = data.step * (event.shiftKey ? 10 : 1), wide = view[1] - view[0];
      if (event.key === 'ArrowLeft') at = Math.max(view[0], at - by);
      else if (event.key === 'ArrowRight') at = Math.min(view[1], at + by);
      else if (event.key === '+') return zoom(at - wide / 4, at + wide / 4);
      else if (event.key === '-') return zoom(at - wide, at + wide);
      else if (event.key === '0') return zoom(0, data.end);
      else if (event.key === 'Escape') return leave();
      else return;
      event.preventDefault();
      point(figure, at);
    });
    figure.element.addEventListener('blur', leave);
  });
})();
