package app

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/stategate/stategate/cmd/gateway/internal/module"
	"github.com/stategate/stategate/cmd/gateway/internal/report"
	"github.com/stategate/stategate/statestore"
)

// changesMax bounds the changes that are kept and shown.
const changesMax = 1000

// moduleNote is the name of the store's note, and its text.
const moduleNote = "module"

type formerModule struct {
	First    int64            `json:"first"` // Unix milliseconds of the first start with it
	Last     int64            `json:"last"`  // of the newest
	Settings *module.Snapshot `json:"settings"`
	// What it changed from the one before, whose newest start was at Since; 0: there was none.
	Since   int64           `json:"since"`
	Changes []module.Change `json:"changes"`
	More    int             `json:"more"`
}

// effective is what a start finds of the one before. It is for people: nothing waits for it or depends on it.
type effective struct {
	mu     sync.Mutex
	former *formerModule // with this start in it; nil until the store has been asked. Guarded by mu
}

// Module tells what counts of the module, and what has changed.
func (a *App) Module() report.Module {
	out := report.Module{Files: a.cfg.Module.Files()}
	for _, item := range a.cfg.Module.Effective() {
		c := report.Component{Kind: item.Kind, ID: item.ID, At: fmt.Sprintf("%s:%d", item.Place.File, item.Place.Line), Settings: make([]report.Setting, 0, len(item.Settings))}
		for _, s := range item.Settings {
			c.Settings = append(c.Settings, report.Setting{Name: s.Path, Value: s.Value, From: s.From})
		}
		out.Components = append(out.Components, c)
	}
	a.effective.mu.Lock()
	defer a.effective.mu.Unlock()
	f := a.effective.former
	if f == nil {
		return out
	}
	out.Compared, out.More = true, f.More
	for _, c := range f.Changes {
		out.Changes = append(out.Changes, report.Change{Kind: c.Kind, ID: c.ID, Name: c.Path, Was: c.Was, Is: c.Is})
	}
	if f.Since != 0 {
		out.Since, out.Changed = time.UnixMilli(f.Since).UTC(), time.UnixMilli(f.First).UTC()
	}
	return out
}

// compareAgainAfter is how long a store that is away is left alone before it is asked what the module was.
const compareAgainAfter = 5 * time.Second

// compareModule finds out what has changed since the last start, and notes this one.
func (a *App) compareModule(ctx context.Context) {
	for {
		err := a.compareOnce(ctx)
		switch {
		case err == nil || ctx.Err() != nil:
			return
		case !errors.Is(err, statestore.ErrUnavailable):
			a.log.Info("what the module was at the last start is not known", "error", err)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(compareAgainAfter):
		}
	}
}

func (a *App) compareOnce(ctx context.Context) error {
	data, _, err := a.cfg.Store.Note(ctx, moduleNote)
	if err != nil {
		return err
	}
	former, err := unpackFormer(data)
	if err != nil { // it is written anew
		a.log.Info("what the module was at the last start is not known", "error", err)
	}
	settings := a.cfg.Module.Snapshot(a.cfg.Store.Identity())
	now, changed := nowOf(former, settings, time.Now().UnixMilli())
	if packed := now.pack(); len(packed) <= statestore.NoteBytesMax {
		err = a.cfg.Store.SetNote(ctx, moduleNote, packed)
	} else {
		err = a.cfg.Store.SetNote(ctx, moduleNote, nil) // a module so large is not compared
	}
	if err != nil {
		return err
	}
	now.Settings = nil // it is at hand
	a.effective.mu.Lock()
	a.effective.former = now
	a.effective.mu.Unlock()
	switch {
	case former == nil:
	case changed == 0:
		a.log.Info("the module is what it was at the last start")
	default:
		a.log.Info("the module has changed since the last start", "settings", changed, "since", time.UnixMilli(now.Since).UTC(), "look", "gateway module, or GET /v1/module")
	}
	return nil
}

// nowOf is what is kept of this start. A module that is what it was keeps what it changed when it was new: a start of another member, or
// one after a crash, shall not make that unknown.
func nowOf(former *formerModule, settings module.Snapshot, ms int64) (now *formerModule, changed int) {
	if former == nil {
		return &formerModule{First: ms, Last: ms, Settings: &settings}, 0
	}
	changes := settings.Since(*former.Settings)
	if len(changes) == 0 {
		again := *former
		again.Last, again.Settings = max(ms, former.Last), &settings
		return &again, 0
	}
	shown := changes[:min(len(changes), changesMax)]
	return &formerModule{First: ms, Last: ms, Settings: &settings, Since: former.Last, Changes: slices.Clone(shown), More: len(changes) - len(shown)}, len(changes)
}

// pack makes the text of a note. It is made small: most settings of most components say the same.
func (f *formerModule) pack() []byte {
	text, err := json.Marshal(f)
	if err != nil {
		panic("encode a note: " + err.Error()) // our own types have nothing that cannot be encoded
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(text) // a buffer takes everything
	_ = w.Close()
	return b.Bytes()
}

// formerBytesMax bounds what a note becomes when it is read.
const formerBytesMax = 64 << 20

var errFormer = errors.New("the store's note of it cannot be read")

// unpackFormer reads a note; nil when there is none.
func unpackFormer(data []byte) (*formerModule, error) {
	if len(data) == 0 {
		return nil, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, errFormer
	}
	text, err := io.ReadAll(io.LimitReader(r, formerBytesMax+1))
	if err != nil || len(text) > formerBytesMax {
		return nil, errFormer
	}
	var f formerModule
	if err := json.Unmarshal(text, &f); err != nil || f.Settings == nil || len(f.Changes) > changesMax || f.First < 0 || f.Last < f.First || f.Since < 0 || f.More < 0 {
		return nil, errFormer
	}
	return &f, nil
}
