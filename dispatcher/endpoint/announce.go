package endpoint

import (
	"maps"
	"net/http"
	"strconv"
	"strings"
)

// Bulk calls are offered in a header of each ordinary call, and taken in the same header of a response.
const (
	bulkHeader      = "Stategate-Bulk"
	bulkVersion     = "1"
	bulkContentType = "application/vnd.stategate.bulk.v1"
	// bulkCallsMax bounds what an endpoint says that it runs at once.
	bulkCallsMax = 4096
	// announcementBytesMax: what is longer is none.
	announcementBytesMax = 256
)

func bulkHeaders(ordinary http.Header) http.Header {
	header := maps.Clone(ordinary)
	delete(header, bulkHeader)
	header["Content-Type"] = []string{bulkContentType}
	if _, ok := header["Accept"]; ok {
		header["Accept"] = []string{bulkContentType}
	}
	return header
}

// announcement is what an endpoint has said last. It says the same each time, so it is read once.
type announcement struct {
	text  string
	calls int
}

// CallsMax bounds the calls that one request may carry; 0: by what its endpoint announces alone.
func (c *Client) CallsMax() int { return c.spec.BulkCallsMax }

// announced is how many calls of a bulk an endpoint runs at once, by the headers of its response; 0: it takes none.
func (c *Client) announced(header http.Header) int {
	values := header[bulkHeader]
	if len(values) != 1 {
		return 0
	}
	text := values[0]
	if last := c.heard.Load(); last != nil && last.text == text {
		return last.calls
	}
	if len(text) > announcementBytesMax {
		return 0
	}
	said := &announcement{text: strings.Clone(text), calls: c.within(readAnnouncement(text))}
	c.heard.Store(said)
	return said.calls
}

// within keeps an announcement within the bound of the spec.
func (c *Client) within(calls int) int {
	switch most := c.spec.BulkCallsMax; {
	case most == 1:
		return 0
	case most > 1:
		return min(calls, most)
	}
	return calls
}

// readAnnouncement reads "1; calls=N". Parameters that are not known are skipped; what cannot be read is none.
func readAnnouncement(text string) (calls int) {
	version, rest, _ := strings.Cut(text, ";")
	if strings.TrimSpace(version) != bulkVersion {
		return 0
	}
	found := false
	for parameter := range strings.SplitSeq(rest, ";") {
		name, value, ok := strings.Cut(parameter, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "calls") {
			continue
		}
		value = strings.TrimSpace(value)
		if !ok || found || value == "" || strings.Trim(value, "0123456789") != "" {
			return 0
		}
		n, err := strconv.Atoi(value)
		if err != nil {
			n = bulkCallsMax // more digits than fit
		}
		calls, found = min(n, bulkCallsMax), true
	}
	if calls < 2 {
		return 0
	}
	return calls
}
