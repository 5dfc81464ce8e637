package admin

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"sort"
	"strconv"
)

// list is one page of a list.
type list[T any] struct {
	Items []T     `json:"items" about:"of this page, in order"`
	Next  *string `json:"next" about:"what to give as after for more; null at the end"`
}

// Bounds of a page.
const (
	pageDefault = 100
	pageMax     = 1000
)

// pageRemedy is what to do about a question for a page that cannot be understood.
var pageRemedy = fmt.Sprintf("want ?after=NEXT&limit=NUMBER, both optional: next is of the page before, and limit at most %d", pageMax)

// pageQuery reads a question for a page, with what else may be asked. The error is a problem.
func pageQuery(r *http.Request, more ...string) (query map[string]string, limit int, err error) {
	query, err = strictQuery(r, append([]string{"after", "limit"}, more...)...)
	if err == nil {
		limit, err = limitOf(query)
	}
	if err != nil {
		return nil, 0, problem{http.StatusBadRequest, err.Error(), pageRemedy}
	}
	return query, limit, nil
}

// limitOf reads how many are asked for.
func limitOf(query map[string]string) (int, error) {
	text, ok := query["limit"]
	if !ok {
		return pageDefault, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 || limit > pageMax {
		return 0, fmt.Errorf("limit is not a number from 1 to %d", pageMax)
	}
	return limit, nil
}

// pageOf is a page of what is sorted by name; after is a name.
func pageOf[F, T any](all []F, after string, limit int, name func(*F) string, shown func(*F) T) list[T] {
	from := 0
	if after != "" {
		from = sort.Search(len(all), func(i int) bool { return name(&all[i]) > after })
	}
	end := min(from+limit, len(all))
	out := list[T]{Items: make([]T, 0, end-from)}
	for i := from; i < end; i++ {
		out.Items = append(out.Items, shown(&all[i]))
	}
	if end < len(all) {
		next := name(&all[end-1])
		out.Next = &next
	}
	return out
}

// nextNumber is a number as a place in a list.
func nextNumber(n uint64) *string {
	text := strconv.FormatUint(n, 10)
	return &text
}

// numberAfter reads a place that is a number; 0: none is given.
func numberAfter(query map[string]string) (uint64, error) {
	text, ok := query["after"]
	if !ok {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, problem{http.StatusBadRequest, "after is not next of a page before", pageRemedy}
	}
	return n, nil
}

// cursorMax bounds a place in a store's own order.
const cursorMax = 4 << 10

// cursorAfter reads a place in a store's own order; nil: none is given.
func cursorAfter(query map[string]string) ([]byte, error) {
	text, ok := query["after"]
	if !ok {
		return nil, nil
	}
	cursor, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(cursor) == 0 || len(cursor) > cursorMax {
		return nil, errors.New("after is not next of a page before")
	}
	return cursor, nil
}

// nextCursor is a place in a store's own order.
func nextCursor(cursor []byte) *string {
	if cursor == nil {
		return nil
	}
	text := base64.RawURLEncoding.EncodeToString(cursor)
	return &text
}
