package config

import (
	"strings"
)

const manualHead = `# Settings of a gateway, with their defaults. This file is the manual: gateway config prints it.
#
#   gateway run --config FILE
#
# Every setting is also a flag and a variable of the environment, whose names stand above it. A flag beats the environment,
# the environment beats this file, and this file beats the default. Leave out what shall stay as it is.
# Sizes are whole numbers of B, KiB, MiB, GiB or TiB. Durations have a unit: 500ms, 10s, 2m, 1h.
# Everything about the application is in module.yaml.
`

// Manual is the file of settings with every default and what each is for. A setting without a default is commented out.
func Manual() string {
	var b strings.Builder
	b.WriteString(manualHead)
	for i := range settings {
		s := &settings[i]
		b.WriteString("\n# --" + s.flag() + "  " + s.variable() + "\n")
		for _, line := range strings.Split(s.manual, "\n") {
			b.WriteString("# " + line + "\n")
		}
		if s.standard == "" {
			b.WriteString("# " + s.key + ": " + s.example + "\n")
			continue
		}
		b.WriteString(s.key + ": " + s.standard + "\n")
	}
	return b.String()
}
