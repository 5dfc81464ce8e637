import unittest
from datetime import timedelta

from shop import AddToCart, Checkout, Restock, functions
from stategate.testing import FunctionFailed, Harness


def shop(*quantities: int) -> Harness:
    """A shop with three pens, and what ada asks for."""
    play = Harness(functions)
    play.call("shop/stock", "pen", Restock(3))
    for n in quantities:
        play.call("shop/cart", "ada", AddToCart("pen", n))
        play.run()
    return play


class Shop(unittest.TestCase):
    def want(self, play: Harness, left: int, basket: object) -> None:
        self.assertEqual(play.state("shop/stock", "pen")["left"], left)
        self.assertEqual(play.state("shop/cart", "ada").get("basket"), basket)

    def test_more_than_there_is(self) -> None:
        self.want(shop(2, 5), 0, {"pen": 3})
        self.want(shop(0, -1), 3, None)

    def test_checkout(self) -> None:
        play = shop(2)
        [receipt] = play.call("shop/cart", "ada", Checkout()).egress
        self.assertEqual((receipt.topic, receipt.key, receipt.value), ("receipts", "ada", {"user": "ada", "items": {"pen": 2}}))
        play.advance(timedelta(hours=1))
        self.want(play, 1, None)
        self.assertEqual(play.call("shop/cart", "ada", Checkout()).egress, [])

    def test_a_cart_that_is_given_up(self) -> None:
        play = shop(1)
        play.advance(timedelta(minutes=20))
        play.call("shop/cart", "ada", AddToCart("pen", 1))  # the wait begins anew
        play.advance(timedelta(minutes=29))
        self.want(play, 1, {"pen": 2})
        play.advance(timedelta(minutes=1))
        self.want(play, 3, None)

    def test_strangers(self) -> None:
        with self.assertRaises(FunctionFailed):
            shop().call("shop/cart", "ada", "hello")
        with self.assertRaises(FunctionFailed):
            shop().call("shop/stock", "pen", AddToCart("pen", 1))  # from nobody


if __name__ == "__main__":
    unittest.main()
