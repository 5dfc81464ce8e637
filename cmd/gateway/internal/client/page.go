package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"strconv"
	"strings"
)

// pageItems is how many items of a list are asked for at a time.
const pageItems = 200

// errPage is an answer that is no page of a list.
var errPage = errors.New("the answer is no list")

// Items walks a list to its end, or until limit items were seen (0: no limit), and holds one item at a time: also a list of a million is walked
// in little memory. more says whether there were others behind the limit. each may keep what it is given.
func (c *Client) Items(ctx context.Context, path string, query url.Values, limit int, each func(json.RawMessage) error) (more bool, err error) {
	query = maps.Clone(query)
	if query == nil {
		query = url.Values{}
	}
	for seen := 0; ; {
		want := pageItems
		if limit > 0 {
			want = min(want, limit-seen)
		}
		query.Set("limit", strconv.Itoa(want))
		n, next, err := c.page(ctx, path, query, each)
		if err != nil {
			return false, err
		}
		seen += n
		switch {
		case next == nil:
			return false, nil
		case *next == query.Get("after"):
			return false, fmt.Errorf("%w that ends: it goes on where it has been", errPage)
		case limit > 0 && seen >= limit:
			return true, nil
		}
		query.Set("after", *next)
	}
}

// All walks a list that comes in one answer, or its first items (limit 0: all). more says whether there were others.
func (c *Client) All(ctx context.Context, path string, query url.Values, limit int, each func(json.RawMessage) error) (more bool, err error) {
	seen := 0
	_, _, err = c.page(ctx, path, query, func(item json.RawMessage) error {
		if seen++; limit > 0 && seen > limit {
			more = true
			return nil
		}
		return each(item)
	})
	return more, err
}

func (c *Client) page(ctx context.Context, path string, query url.Values, each func(json.RawMessage) error) (n int, next *string, err error) {
	response, err := c.send(ctx, Request{Path: path, Query: query})
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body := bounded(response.Body)
	if response.StatusCode != 200 {
		text, err := io.ReadAll(body)
		if err != nil {
			return 0, nil, c.broken("", err)
		}
		return 0, nil, c.problemOf(response, text)
	}
	if !strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") {
		return 0, nil, c.stranger(response.StatusCode)
	}
	var own error // of each
	n, next, err = readPage(json.NewDecoder(body), func(item json.RawMessage) error { own = each(item); return own })
	switch {
	case own != nil:
		return n, nil, own
	case err != nil && !errors.Is(err, errPage):
		return n, nil, c.broken("", fmt.Errorf("the answer breaks off: %w", err))
	}
	return n, next, err
}

// readPage reads {"items":[...],"next":...}, in any order, whatever else is in it.
func readPage(d *json.Decoder, each func(json.RawMessage) error) (n int, next *string, err error) {
	if err := expect(d, json.Delim('{')); err != nil {
		return 0, nil, err
	}
	found := false
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return n, nil, err
		}
		switch key {
		case "items":
			if found {
				return n, nil, errPage
			}
			found = true
			if n, err = readItems(d, each); err != nil {
				return n, nil, err
			}
		case "next":
			if err := d.Decode(&next); err != nil {
				return n, nil, orPage(err)
			}
		default:
			var other json.RawMessage
			if err := d.Decode(&other); err != nil {
				return n, nil, orPage(err)
			}
		}
	}
	if err := expect(d, json.Delim('}')); err != nil {
		return n, nil, err
	}
	if !found {
		return n, nil, errPage
	}
	return n, next, nil
}

func readItems(d *json.Decoder, each func(json.RawMessage) error) (n int, err error) {
	if err := expect(d, json.Delim('[')); err != nil {
		return 0, err
	}
	for d.More() {
		var item json.RawMessage
		if err := d.Decode(&item); err != nil {
			return n, orPage(err)
		}
		if err := each(item); err != nil {
			return n, err
		}
		n++
	}
	return n, expect(d, json.Delim(']'))
}

func expect(d *json.Decoder, want json.Delim) error {
	got, err := d.Token()
	if err != nil {
		return orPage(err)
	}
	if got != want {
		return errPage
	}
	return nil
}

// orPage tells what is not JSON, or not of the type, from what did not come whole.
func orPage(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	if errors.As(err, &syntax) || errors.As(err, &kind) {
		return fmt.Errorf("%w: %w", errPage, err)
	}
	return err
}
