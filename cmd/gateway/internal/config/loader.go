package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/stategate/stategate/cmd/gateway/internal/nearest"
)

// Loader knows the flags of one command.
type Loader struct {
	file   flagText
	flags  map[string]*flagText // by key
	layers []layer              // of the last Load, the strongest last
	named  given                // the file that was read, and who named it; zero: none
}

// flagText holds what a flag was set to until Load judges it, with all the rest: the flag library would show a bad value,
// and it may be a password.
type flagText struct {
	kind  string
	list  bool   // given again, it adds
	text  string // the default, until it is given
	given bool
}

func (f *flagText) String() string { return f.text }

func (f *flagText) Set(text string) error {
	if f.list && f.given {
		text = f.text + listSeparator + text
	}
	f.text, f.given = text, true
	return nil
}

// Type is what --help calls the value.
func (f *flagText) Type() string {
	if f.kind == "" {
		return "bool"
	}
	return f.kind
}

// Register adds the flags of all settings.
func Register(flags *pflag.FlagSet) *Loader {
	flags.SortFlags = false // they stand in the order of the manual, where "the same in bytes" follows what it is the same as
	l := &Loader{file: flagText{kind: "FILE"}, flags: map[string]*flagText{}}
	flags.Var(&l.file, configFlag, "file of settings; gateway config prints one with every default ("+configVariable+")")
	for i := range settings {
		l.register(flags, &settings[i])
	}
	return l
}

func (l *Loader) register(flags *pflag.FlagSet, s *setting) {
	f := &flagText{kind: s.kind, list: s.list, text: s.standard}
	l.flags[s.key] = f
	flags.Var(f, s.flag(), s.brief+" ("+s.variable()+")")
	if s.kind == "" {
		flags.Lookup(s.flag()).NoOptDefVal = "true"
	}
}

// RegisterModule adds the flag of the setting module alone, for a command that needs nothing else.
func RegisterModule(flags *pflag.FlagSet) *Loader {
	l := &Loader{flags: map[string]*flagText{}}
	l.register(flags, find("module"))
	return l
}

// Module is what the flag says, else the environment, else the default; given says whether it was the flag.
func (l *Loader) Module(environ []string) (locations []string, given bool, err error) {
	c, _, err := l.Load(slices.DeleteFunc(slices.Clone(environ), func(e string) bool { return !strings.HasPrefix(e, find("module").variable()+"=") }))
	return c.Module, l.flags["module"].given, err
}

// layer is what one source of settings says, by key.
type layer map[string]given

// given is what one source says. where stands in errors, from says to people which source it is.
type given struct{ where, from, text string }

// Load gathers all settings. environ is os.Environ(). A flag beats the environment, which beats the file, which beats the
// default; store and storeFile count as one. Warnings are lines for the log. All that is wrong is in the error: a ValueError
// for each value; what else is in it, such as a file that cannot be read, may go away by itself.
func (l *Loader) Load(environ []string) (Config, []string, error) {
	variables := map[string]string{}
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		if strings.HasPrefix(name, variablePrefix) && value != "" { // set to nothing is not set
			variables[name] = value
		}
	}
	var errs []error
	fromFile, err := l.fromFile(variables[configVariable])
	if err != nil {
		errs = append(errs, err)
	}
	layers := []layer{fromFile, fromEnvironment(variables), l.fromFlags()}
	l.layers = layers
	c := Default()
	for i := range settings {
		s := &settings[i]
		for _, from := range layers {
			g, ok := from[s.key]
			if !ok {
				continue
			}
			if err := s.set(&c, g.text); err != nil {
				errs = append(errs, &ValueError{Where: g.where, Text: err.Error()})
			}
		}
	}
	if err := chooseStore(&c, layers); err != nil {
		errs = append(errs, err)
	}
	if len(errs) == 0 && c.Listen == c.Admin && !strings.HasSuffix(c.Admin, ":0") {
		errs = append(errs, &ValueError{Where: "listen and admin", Text: "both are " + c.Admin + ": want two addresses"})
	}
	return c, unknownVariables(variables), errors.Join(errs...)
}

// fromFile reads the file that the flag names, else the one that the variable does.
func (l *Loader) fromFile(variable string) (layer, error) {
	name, where, from := variable, configVariable, environmentOf(configVariable)
	if l.file.given {
		name, where, from = l.file.text, "--"+configFlag, flagOf(configFlag)
	}
	switch {
	case name == "" && l.file.given:
		return nil, &ValueError{Where: where, Text: "want the name of a file"}
	case name == "":
		return nil, nil
	}
	l.named = given{where: where, from: from, text: name}
	data, err := readBounded(name, fileBytesMax)
	if err != nil {
		return nil, fmt.Errorf("%s: read %s: %w", where, name, err)
	}
	return parseFile(name, data)
}

func fromEnvironment(variables map[string]string) layer {
	out := layer{}
	for i := range settings {
		s := &settings[i]
		if value, ok := variables[s.variable()]; ok {
			out[s.key] = given{s.variable(), environmentOf(s.variable()), value}
		}
	}
	return out
}

func (l *Loader) fromFlags() layer {
	out := layer{}
	for key, f := range l.flags {
		if f.given {
			out[key] = given{"--" + find(key).flag(), flagOf(find(key).flag()), f.text}
		}
	}
	return out
}

// chooseStore lets the strongest layer decide that says anything of the store, be it the URL or the file that holds it.
func chooseStore(c *Config, layers []layer) error {
	var errs []error
	var chosen layer
	for _, from := range layers {
		url, isURL := from["store"]
		file, isFile := from["storeFile"]
		if isURL && isFile {
			errs = append(errs, &ValueError{Where: url.where + " and " + file.where, Text: "both say where the store is: want one of them"})
		}
		if isURL || isFile {
			chosen = from
		}
	}
	file, isFile := chosen["storeFile"]
	if _, isURL := chosen["store"]; isURL || !isFile {
		c.StoreFile = ""
		return errors.Join(errs...)
	}
	if file.text == "" {
		return errors.Join(errs...) // which is said already
	}
	data, err := readBounded(file.text, storeBytesMax)
	if err != nil {
		return errors.Join(append(errs, fmt.Errorf("%s: read %s: %w", file.where, file.text, err))...)
	}
	if c.Store, err = ParseStoreURL(strings.TrimRight(string(data), "\r\n")); err != nil {
		errs = append(errs, &ValueError{Where: file.where, Text: "the URL in " + file.text + ": " + err.Error()})
	}
	return errors.Join(errs...)
}

// unknownVariables warns of what looks like a setting and is none. Values are not shown.
func unknownVariables(variables map[string]string) []string {
	known := append([]string{configVariable}, askVariables...)
	for i := range settings {
		known = append(known, settings[i].variable())
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		if slices.Contains(known, name) || foreign.MatchString(name) {
			continue
		}
		text := "variable " + shown(name) + " is not known and has no effect"
		if near := nearest.Word(name, known); near != "" {
			text += ": did you mean " + near + "?"
		}
		out = append(out, text)
	}
	return out
}
