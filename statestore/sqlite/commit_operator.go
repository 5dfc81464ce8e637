package sqlite

import (
	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

func (p *part) pauses(all []statestore.Pause) {
	for i := range all {
		key := statestore.PauseKey(&all[i])
		if all[i].Ended {
			p.exec(`DELETE FROM pause WHERE key = ?`, key)
			continue
		}
		p.buf = statestore.AppendPause(p.buf[:0], &all[i])
		p.exec(`INSERT INTO pause (key, data) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET data = excluded.data`, key, p.buf)
	}
}

func (p *part) progressEnds(all []api.Source) {
	for _, s := range all {
		p.exec(`DELETE FROM progress WHERE key = ?`, statestore.SourceKey(s))
	}
}

// acts are never written over: a number that is there already refuses the commit.
func (p *part) acts(all []statestore.Act) {
	newest := uint64(0)
	for i := range all {
		p.buf = statestore.AppendAct(p.buf[:0], &all[i])
		p.exec(`INSERT INTO act (number, data) VALUES (?, ?)`, number(all[i].Number), p.buf)
		newest = max(newest, all[i].Number)
	}
	if newest > statestore.ActsKept {
		p.exec(`DELETE FROM act WHERE number <= ?`, number(newest-statestore.ActsKept))
	}
}
