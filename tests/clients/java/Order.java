import java.math.BigDecimal;
import java.time.Instant;
import java.util.List;
import java.util.Set;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.enhanced.dynamodb.mapper.annotations.DynamoDbAttribute;
import software.amazon.awssdk.enhanced.dynamodb.mapper.annotations.DynamoDbBean;
import software.amazon.awssdk.enhanced.dynamodb.mapper.annotations.DynamoDbPartitionKey;
import software.amazon.awssdk.enhanced.dynamodb.mapper.annotations.DynamoDbSortKey;

/** What a Java program stores by the enhanced client. */
@DynamoDbBean
public class Order {
    private String customer;
    private int number;
    private BigDecimal total;
    private Instant made;
    private Set<String> tags;
    private List<Place> places;
    private SdkBytes photo;

    /** A part of an order, stored as a map. */
    @DynamoDbBean
    public static class Place {
        private String city;
        private boolean home;

        public String getCity() {
            return city;
        }

        public void setCity(String city) {
            this.city = city;
        }

        public boolean isHome() {
            return home;
        }

        public void setHome(boolean home) {
            this.home = home;
        }
    }

    @DynamoDbPartitionKey
    @DynamoDbAttribute("pk")
    public String getCustomer() {
        return customer;
    }

    public void setCustomer(String customer) {
        this.customer = customer;
    }

    @DynamoDbSortKey
    @DynamoDbAttribute("sk")
    public int getNumber() {
        return number;
    }

    public void setNumber(int number) {
        this.number = number;
    }

    public BigDecimal getTotal() {
        return total;
    }

    public void setTotal(BigDecimal total) {
        this.total = total;
    }

    public Instant getMade() {
        return made;
    }

    public void setMade(Instant made) {
        this.made = made;
    }

    public Set<String> getTags() {
        return tags;
    }

    public void setTags(Set<String> tags) {
        this.tags = tags;
    }

    public List<Place> getPlaces() {
        return places;
    }

    public void setPlaces(List<Place> places) {
        this.places = places;
    }

    public SdkBytes getPhoto() {
        return photo;
    }

    public void setPhoto(SdkBytes photo) {
        this.photo = photo;
    }
}
