"""The presets that come with nferbench, as YAML files; `nferbench.planning.settings` reads them."""
