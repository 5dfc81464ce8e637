package sqlite

import (
	"database/sql/driver"

	"github.com/stategate/stategate/statestore"
)

func (p *part) timerEnds(all []statestore.TimerKey) {
	for _, k := range sorted(len(all), func(i int) []byte { return statestore.FiringKey(all[i]) }) {
		p.exec(`DELETE FROM timer WHERE key = ?`, k.key)
	}
}

func (p *part) cancels(all []statestore.Cancel) {
	for i := range all {
		p.exec(`DELETE FROM timer WHERE token = ? AND number < ?`, statestore.TokenKey(all[i].SenderID, all[i].Token), number(all[i].Below))
	}
}

func (p *part) timers(all []statestore.Timer) {
	for _, k := range sorted(len(all), func(i int) []byte { return statestore.FiringKey(all[i].TimerKey) }) {
		t := &all[k.at]
		var token driver.Value // NULL: it cannot be cancelled
		if t.Token != "" {
			token = statestore.TokenKey(t.Message.Caller.ID, t.Token)
		}
		p.buf = statestore.AppendTimerMessage(p.buf[:0], t)
		p.exec(`INSERT INTO timer (key, number, token, data) VALUES (?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET token = excluded.token, data = excluded.data`, k.key, number(t.Number), token, p.buf)
	}
}
