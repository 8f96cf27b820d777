import neostandard from 'neostandard'

export default [
  ...neostandard({ ts: true, ignores: ['node_modules', '.headway', '.tap', 'dist', 'coverage'] }),
  {
    rules: {
      'no-control-regex': 'off',
      'no-void': 'off',
      'no-unmodified-loop-condition': 'off', // a stop() elsewhere modifies it
      camelcase: 'off', // units end names as they do on the wire: interval_ms
      '@stylistic/max-len': ['error', { code: 140, ignoreUrls: true, ignoreStrings: true, ignoreTemplateLiterals: true, ignoreRegExpLiterals: true }]
    }
  }
]
