//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
)

const growthWorkload = "growth "

func keysGrowth(keys int) string { return fmt.Sprintf("%s%d keys", growthWorkload, keys) }

func growth(ctx context.Context, args []string, out io.Writer) error   { return nil }
func overload(ctx context.Context, args []string, out io.Writer) error { return nil }
func steady(ctx context.Context, args []string, out io.Writer) error   { return nil }

const (
	overloadWorkload = "overload "
	steadyWorkload   = "steady "
)
