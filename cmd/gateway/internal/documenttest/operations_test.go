//go:build unix

package documenttest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// asked is what must be in the answers to the commands of "What can be asked", where an address fails and a message is set aside.
var asked = map[string][]string{
	"/v1/stuck":               {`"poisoned"`, `"remedy": "gateway addresses skip shop/cart ada --message `, "the item is " + refusal},
	"/v1/functions":           {`"shop/cart"`, `"shop/*"`, `"deadLetter"`},
	"/v1/functions/shop/cart": {`"function": "shop/cart"`, `"failing": 1`, `"shop/count"`},
	"/v1/addresses?function=shop/cart&prefix=a":     {`"id": "ada"`, `"failing": true`},
	"/v1/addresses/shop/cart/ada":                   {`"items"`, `"lastError": "status 500`, `"front"`},
	"/v1/addresses/shop/cart/ada/state/items":       {`"version"`, `"committed": true`, `"value": "AAAAAAAAAAE="`},
	"/v1/ingresses":                                 {`"shop/api"`},
	"/v1/ingresses/shop/api":                        {`"kind": "http"`, `"sources"`},
	"/v1/egresses":                                  {`"shop/receipts"`},
	"/v1/egresses/shop/receipts":                    {`"kind": "log"`, `"lanes"`},
	"/v1/timers?function=shop/cart":                 {`"items": []`},
	"/v1/deadletters?function=shop/stock":           {`"function keeps failing"`, `"value": "` + refusal + `"`},
	"/v1/deadletters?reason=function+keeps+failing": {`"function keeps failing"`},
	"/v1/deadletters/totals":                        {`"letters": 1`, `"name": "shop/stock"`},
	"/v1/members":                                   {`"role": "active"`},
	"/v1/audit":                                     {`"items": []`},
	"/v1/module":                                    {`"shop/*"`},
	"/v1/settings":                                  {`"store"`},
	"/v1/version":                                   {`"storeId"`},
	"/v1/openapi.json":                              {`"openapi": "3.1.0"`, `"/v1/stuck"`},
}

// TestWhatCanBeAsked runs each command of that section of docs/OPERATIONS.md on a gateway that has something of most of it.
func TestWhatCanBeAsked(t *testing.T) {
	need(t, "curl")
	_, rest, ok := strings.Cut(document(t, "OPERATIONS.md"), "<!-- what can be asked -->\n```sh\n")
	commands, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatal("docs/OPERATIONS.md does not show what can be asked")
	}
	s := newShop(t)
	s.add("---\nkind: io.stategate.log.v1/egress\nspec: {id: shop/receipts}\n")
	g := s.open()
	if code, body := g.post("/v1/call/shop/cart/ada", "pen"); code != 200 {
		t.Fatalf("the first item is answered %d %s", code, body)
	}
	s.refuse(g, "shop/stock", "/v1/deadletters")
	s.refuse(g, "shop/cart", "/v1/addresses/shop/cart/ada")
	testgateway.Poll(t, "the address to be stuck", func() (bool, string) {
		_, body, err := g.Get("/v1/stuck")
		return strings.Contains(string(body), "poisoned"), fmt.Sprint(string(body), err)
	})
	path := regexp.MustCompile(`127\.0\.0\.1:8081([^' ]*)`)
	seen := map[string]bool{}
	for line := range strings.Lines(commands) {
		line = strings.TrimSpace(comment.Split(line, 2)[0])
		found := path.FindStringSubmatch(line)
		if found == nil || seen[found[1]] {
			t.Errorf("%q asks nothing, or what was asked before", line)
			continue
		}
		seen[found[1]] = true
		wants, known := asked[found[1]]
		if !known {
			t.Errorf("%s: no test knows what it answers", line)
		}
		said := shell(t, s.folder, replace(t, line, "127.0.0.1:8081", g.admin))
		if !json.Valid([]byte(said)) {
			t.Errorf("%s: %.500s is no JSON", line, said)
		}
		for _, want := range wants {
			if !strings.Contains(said, want) {
				t.Errorf("%s: %q is not in %.2000s", line, want, said)
			}
		}
	}
	for path := range asked {
		if !seen[path] {
			t.Errorf("docs/OPERATIONS.md does not ask for %s", path)
		}
	}
	g.Stop()
}

// add writes more into the module of a shop.
func (s *shop) add(text string) {
	s.t.Helper()
	f, err := os.OpenFile(filepath.Join(s.folder, "module.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		s.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		s.t.Fatal(err)
	}
}
