// Dashboards with the fields that ours have, put together as jsonnet's libraries do it. All panels are time series.
local prometheus = { type: 'prometheus', uid: 'prometheus' };

{
  dashboard(uid, title, description, panels): {
    annotations: { list: [] },
    description: description,
    editable: true,
    graphTooltip: 1,
    links: [],
    panels: panels,
    refresh: '30s',
    schemaVersion: 42,
    tags: [],
    templating: { list: [] },
    time: { from: 'now-1h', to: 'now' },
    timezone: 'browser',
    title: title,
    uid: uid,
  },

  timeseries(id, title): {
    datasource: prometheus,
    description: '',
    fieldConfig: {
      defaults: {
        color: { mode: 'palette-classic' },
        custom: {
          axisLabel: '',
          axisPlacement: 'auto',
          axisSoftMin: 0,
          barAlignment: 0,
          drawStyle: 'line',
          fillOpacity: 10,
          gradientMode: 'none',
          hideFrom: { legend: false, tooltip: false, viz: false },
          lineInterpolation: 'linear',
          lineWidth: 1,
          pointSize: 5,
          scaleDistribution: { log: 2, type: 'linear' },
          showPoints: 'auto',
          spanNulls: false,
          stacking: { group: 'A', mode: 'none' },
          thresholdsStyle: { mode: 'off' },
        },
        mappings: [],
        thresholds: { mode: 'absolute', steps: [{ color: 'text', value: null }] },
        unit: 'short',
      },
      overrides: [],
    },
    gridPos: { h: 8, w: 12, x: 0, y: 0 },
    id: id,
    interval: '15s',
    links: [],
    options: {
      legend: { calcs: ['lastNotNull', 'max'], displayMode: 'list', placement: 'bottom', showLegend: true },
      tooltip: { mode: 'multi', sort: 'desc' },
    },
    targets: [],
    title: title,
    transformations: [],
    type: 'timeseries',
  },

  description(text): { description: text },
  unit(name): { fieldConfig+: { defaults+: { unit: name } } },
  place(x, y, width, height): { gridPos: { h: height, w: width, x: x, y: y } },

  query(ref, expr, legend, instant): {
    targets+: [{
      datasource: prometheus,
      editorMode: 'code',
      expr: expr,
      format: 'time_series',
      instant: instant,
      legendFormat: legend,
      range: !instant,
      refId: ref,
    }],
  },

  link(title, url, keep_time): {
    links+: [{
      asDropdown: false,
      icon: 'external link',
      includeVars: false,
      keepTime: keep_time,
      tags: [],
      targetBlank: true,
      title: title,
      tooltip: '',
      type: 'link',
      url: url,
    }],
  },
}
