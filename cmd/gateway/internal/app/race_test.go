//go:build race

package app

// raceDetector makes everything several times slower, and not evenly: delays that are measured with it mean nothing.
const raceDetector = true
