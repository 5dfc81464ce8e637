package protocol

// EffectsMax bounds the effects (or missing states) of one reply. An effect of two bytes on the wire takes some hundred in memory, so
// a bound in bytes alone would let a reply of 32 MiB take well over 1 GiB. Real effects name a target or a state: 32 MiB hold fewer.
const EffectsMax = 1 << 20
