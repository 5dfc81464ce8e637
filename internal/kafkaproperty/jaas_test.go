package kafkaproperty

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLogin(t *testing.T) {
	const plain = "org.apache.kafka.common.security.plain.PlainLoginModule"
	for name, c := range map[string]struct {
		text string
		want map[string]string
	}{
		"usual":            {plain + ` required username="alice" password="secret";`, map[string]string{"username": "alice", "password": "secret"}},
		"lines":            {plain + " required\n  username=\"alice\"\n  password=\"secret\";\n", map[string]string{"username": "alice", "password": "secret"}},
		"no quotes":        {plain + ` required username=alice password=se-cr_et.x$1;`, map[string]string{"username": "alice", "password": "se-cr_et.x$1"}},
		"single quotes":    {plain + ` REQUIRED username='a"b' password='x';`, map[string]string{"username": `a"b`, "password": "x"}},
		"escapes":          {plain + ` required password="a\"b\\c\td\101\7;=//x/*y*/";`, map[string]string{"password": "a\"b\\c\tdA\a;=//x/*y*/"}},
		"blanks around =":  {plain + ` required password = "x" ;`, map[string]string{"password": "x"}},
		"comments":         {"/* of\nold */ " + plain + " required // who\n username=\"u\" /* not this */ password=\"p\";", map[string]string{"username": "u", "password": "p"}},
		"twice: last wins": {plain + ` required password="x" password="y";`, map[string]string{"password": "y"}},
		"none":             {plain + ` optional;`, map[string]string{}},
		"empty value":      {plain + ` sufficient password="";`, map[string]string{"password": ""}},
		"UTF-8":            {plain + ` requisite password="pässwörd\ü" username=jürgen;`, map[string]string{"password": "pässwördü", "username": "jürgen"}},
		"quoted name":      {plain + ` required "username"="u";`, map[string]string{"username": "u"}},
	} {
		got, err := parseLogin(c.text)
		if err != nil || got.module != plain {
			t.Errorf("%s: %+v, %v", name, got.module, err)
		}
		if d := cmp.Diff(c.want, got.options); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func TestWrongLogin(t *testing.T) {
	for text, want := range map[string]string{
		``:                                           "it is empty",
		`  // nothing`:                               "it is empty",
		`hunter2`:                                    "control flag",
		`"hunter2" required;`:                        "class of a login module",
		`= required;`:                                "class of a login module",
		`X requird password="hunter2";`:              "control flag",
		`X required password="hunter2"`:              "semicolon",
		`X required password="hunter2;`:              "has no end",
		"X required password=\"hun\nter2\";":         "end of its line",
		`X required password hunter2;`:               `name="value"`,
		`X required password=;`:                      "has no value",
		`X required password=hunter#2;`:              `name="value"`,
		`X required password==hunter2;`:              "has no value",
		`X required password="hunter2"; Y required;`: "nothing behind",
		`X required =hunter2;`:                       `name="value"`,
		`X required password=`:                       "has no value",
		`X /* required`:                              "control flag",
	} {
		_, err := parseLogin(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%q: %v, want ...%s...", text, err, want)
		}
	}
}

// FuzzLogin: any text is read or refused, and what is said of it repeats nothing of it.
func FuzzLogin(f *testing.F) {
	f.Add(`org.apache.kafka.common.security.plain.PlainLoginModule required username="alice" password="se\"cret";`)
	f.Add("X required a='\\777' /* b */ c=d // e\n;")
	f.Add(`X required "`)
	f.Fuzz(func(t *testing.T, text string) {
		l, err := parseLogin(text)
		if (err == nil) == (l.module == "") {
			t.Errorf("%q: %+v, %v", text, l, err)
		}
		if err != nil && len(err.Error()) > 120 {
			t.Errorf("%q: %v", text, err)
		}
	})
}
