package machine

import "github.com/stategate/stategate/api"

// stranger is an address of a function that the module does not declare, with what waits for it in packs: that stays there, and nothing of
// it is called, until the module declares the function again.
type stranger struct {
	address  api.Address
	messages int64
	front    Front // the first of them
}

// addStranger counts a message of a pack for a function that the module does not declare. Its payload is not held.
func (f *function) addStranger(msg *message) {
	s := f.strangers[msg.Target]
	if s == nil {
		if f.strangers == nil {
			f.strangers = map[api.Address]*stranger{}
		}
		s = &stranger{address: msg.Target}
		f.strangers[msg.Target] = s
	}
	f.strange++
	f.strangeBytes += int64(msg.size)
	s.messages++
	if s.front.Number == 0 || msg.number < s.front.Number {
		s.front = Front{Number: msg.number, Caller: msg.Caller, TypeName: msg.Argument.TypeName, Bytes: len(msg.Argument.Value), ArrivedMS: msg.arrived}
	}
}
