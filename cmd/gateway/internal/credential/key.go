package credential

import "fmt"

const (
	keyBytesMin = 32
	keysMax     = 4 // each is a signature of every call
)

// Keys reads a file of keys, one a line, and hands them to set, now and whenever they change.
func (f *Files) Keys(setting, name string, set func(keys ...string)) error {
	return f.Add(setting, func(contents [][]byte) error {
		keys, err := linesOf(name, contents[0], "key", keyBytesMin)
		if err != nil {
			return err
		}
		if len(keys) > keysMax {
			return fmt.Errorf("%s holds %d keys: want at most %d", name, len(keys), keysMax)
		}
		set(keys...)
		return nil
	}, name)
}
