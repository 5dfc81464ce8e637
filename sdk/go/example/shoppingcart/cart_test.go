package main

import (
	"reflect"
	"strings"
	"testing"
	"time"

	stategate "github.com/stategate/stategate/sdk/go"
	"github.com/stategate/stategate/sdk/go/stategatetest"
)

var (
	ada = stategate.To("shop/cart", "ada")
	pen = stategate.To("shop/stock", "pen")
)

// shop has three pens, and what ada asks for.
func shop(t *testing.T, quantities ...int) *stategatetest.Harness {
	play := stategatetest.New(t, cart, stock)
	play.Call(pen, restock.Of(Restock{Quantity: 3}))
	for _, n := range quantities {
		play.Call(ada, addToCart.Of(AddToCart{Item: "pen", Quantity: n}))
		play.Run()
	}
	return play
}

func wantShop(t *testing.T, play *stategatetest.Harness, inStock int32, inBasket map[string]int) {
	t.Helper()
	n, _ := stategatetest.State(play, pen, left)
	items, _ := stategatetest.State(play, ada, basket)
	if n != inStock || !reflect.DeepEqual(items, inBasket) {
		t.Errorf("there are %d in stock and %v in the basket, want %d and %v", n, items, inStock, inBasket)
	}
}

func TestMoreThanThereIs(t *testing.T) {
	wantShop(t, shop(t, 2, 5), 0, map[string]int{"pen": 3})
	wantShop(t, shop(t, 0, -1), 3, nil)
}

func TestCheckout(t *testing.T) {
	play := shop(t, 2)
	got := play.Call(ada, checkout.Of(Checkout{})).Egress
	if len(got) != 1 || got[0].String() != `shop/receipts: receipts "ada"="{\"user\":\"ada\",\"items\":{\"pen\":2}}"` {
		t.Errorf("got %v", got)
	}
	play.Advance(time.Hour)
	wantShop(t, play, 1, nil)
	if again := play.Call(ada, checkout.Of(Checkout{})).Egress; len(again) > 0 {
		t.Errorf("an empty cart gave %v", again)
	}
}

func TestAbandoned(t *testing.T) {
	play := shop(t, 1)
	play.Advance(20 * time.Minute)
	play.Call(ada, addToCart.Of(AddToCart{Item: "pen", Quantity: 1})) // the wait begins anew
	play.Advance(29 * time.Minute)
	wantShop(t, play, 1, map[string]int{"pen": 2})
	play.Advance(time.Minute)
	wantShop(t, play, 3, nil)
}

func TestStrangers(t *testing.T) {
	play := shop(t)
	if _, err := play.Try(nil, pen, addToCart.Of(AddToCart{Item: "pen", Quantity: 1})); err == nil || !strings.Contains(err.Error(), "from nobody") {
		t.Errorf("got %v", err)
	}
	if _, err := play.Try(nil, ada, stategate.String.Of("hello")); err == nil || !strings.Contains(err.Error(), "want one of shop.types/AddToCart") {
		t.Errorf("got %v", err)
	}
}
